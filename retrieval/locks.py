"""A lock between processes that the system takes back when its holder dies. It does not know what it protects."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

POLL_S = 0.05

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        # flock, not lockf: it belongs to this open file, so two threads of one process exclude each other too, and
        # closing another descriptor of the same file does not let go of it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """An exclusive lock on a file of its own, which stays behind empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock, or say at once that another holds it."""
        assert self._descriptor is None, "this FileLock is already held"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _take(descriptor)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def acquire(self, cancel: threading.Event | None = None, on_wait: Callable[[], None] | None = None) -> bool:
        """Wait for the lock; false where `cancel` was set first. `on_wait` is called once if there is a wait."""
        cancel = cancel or threading.Event()
        waited = False
        while not self.try_acquire():
            if on_wait and not waited:
                on_wait()
            waited = True
            if cancel.wait(POLL_S):
                return False
        return True

    def release(self) -> None:
        """Let go; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

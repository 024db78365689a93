"""A file's bytes as they were at one moment, with their hash. It does not know what they mean."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from retrieval.reading.documents import ReadLimits, read_bytes
from retrieval.reading.unreadable import CannotOpen, ChangedWhileRead

# How fine the clock of a file system may be: most give the kernel's tick, some whole or even seconds.
FINE_NS = 20_000_000
COARSE_NS = 2_000_000_000


@dataclass(frozen=True)
class Content:
    """All bytes of a file, and what the file system said of them."""

    data: bytes
    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int
    recheck: bool
    """Whether it could be written again without another size or time, having been written just now."""


def read_content(path: Path, max_bytes: int) -> Content:
    """Read a file that may be written meanwhile; if it is, try once more.

    Raises:
        FileNotFoundError: It has gone.
        CannotOpen: The system does not let us.
        NotAFile: It is something else.
        TooLarge: It has more than `max_bytes`.
        ChangedWhileRead: It was written during both tries.
    """
    try:
        return _read(path, max_bytes)
    except ChangedWhileRead:
        return _read(path, max_bytes)


def _read(path: Path, max_bytes: int) -> Content:
    began_ns = time.time_ns()
    before, ctime_ns = _stat(path)
    data = read_bytes(path, limits=ReadLimits(bytes=max_bytes))
    after, _ = _stat(path)
    # The bytes are one version's, but it need not be the one that was looked at: another may have taken its place.
    if before != after or len(data) != after[0]:
        raise ChangedWhileRead
    size, mtime_ns, _ = after
    tick_ns = FINE_NS if mtime_ns % 1_000_000_000 else COARSE_NS
    recheck = mtime_ns > began_ns - tick_ns
    # The change time of before: with one that was noted while the file was read, the next sync looks again.
    return Content(data, hashlib.sha256(data).hexdigest(), size, mtime_ns, ctime_ns, recheck)


def _stat(path: Path) -> tuple[tuple[int, int, int], int]:
    """Return what tells one version of a file from another, and its change time."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CannotOpen(error.strerror or str(error)) from error
    return (found.st_size, found.st_mtime_ns, found.st_ino), found.st_ctime_ns

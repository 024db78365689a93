"""Work on a thread whose news are read here, so that Ctrl-C is heard at once and a reader may stop early."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

N = TypeVar("N")
T = TypeVar("T")

GIVE_UP_S = 0.5  # a cancelled generation stops within a token; a load cannot be stopped and is left behind
LOOK_S = 0.1  # a wait without end would not hear Ctrl-C on Windows


class Background(Generic[N, T]):
    """One piece of work; leaving the body before its end cancels it."""

    def __init__(self, work: "Callable[[Background[N, T]], T]") -> None:
        """Take the work, which calls `tell` with its news and stops when `cancel` is set."""
        self.cancel = threading.Event()
        self._work = work
        self._news: queue.SimpleQueue[tuple[N] | None] = queue.SimpleQueue()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ask", daemon=True)

    def __enter__(self) -> "Background[N, T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the work if it still runs: Ctrl-C, or nobody reads on."""
        self.cancel.set()
        self._thread.join(GIVE_UP_S)

    def tell(self, news: N) -> None:
        """Pass on what is new; called by the work."""
        self._news.put((news,))

    def follow(self) -> Iterator[N]:
        """Yield the news until the work is done."""
        while True:
            try:
                news = self._news.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if news is None:
                return
            yield news[0]

    def result(self) -> T:
        """Return what the work returned, or raise what it raised; to be called when `follow` has ended."""
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self))
        except BaseException as error:  # a thread's edge: result() raises it
            self._error = error
        finally:
            self._news.put(None)

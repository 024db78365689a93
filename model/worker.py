"""One thread that runs one job at a time from a bounded queue.

It does not know what a job does, and it interrupts none: a job that must end early has to look for
itself whether it was cancelled.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from model.errors import ModelError

T = TypeVar("T")


class ModelBusy(ModelError):
    """Every place in the queue is taken."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"The model is busy and {waiting} questions wait already; ask again in a moment.")
        self.waiting = waiting


class WorkerClosed(ModelError):
    """The worker takes no more jobs."""

    def __init__(self) -> None:
        super().__init__("The model was closed; open it again.")


class Worker:
    """Runs jobs in the order of their arrival on a daemon thread, which starts with the first job."""

    # `_waiting`, `_running` and `_closed` change only under `_changed`. A job is in `_waiting` until the
    # thread takes it or its future is cancelled, so a cancelled job frees its place at once.

    def __init__(self, queue_size: int) -> None:
        self.queue_size = queue_size
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: Future[Any] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Queue a job and return its future; `future.cancel()` takes it out again while it waits.

        Raises:
            ModelBusy: `queue_size` jobs wait already, beside the one that runs.
            WorkerClosed: After `close()`.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise WorkerClosed
            # A job that the thread has not fetched yet is as good as running: it takes no waiting place.
            if len(self._waiting) + (self._running is not None) > self.queue_size:
                raise ModelBusy(self.queue_size)
            self._waiting.append((future, work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="model-worker", daemon=True)
                self._thread.start()
            self._changed.notify()
        future.add_done_callback(self._forget)
        return future

    def position(self, future: "Future[Any]") -> int | None:
        """Return how many jobs come before this one: 0 while it runs or is next, None when it is done."""
        with self._changed:
            if future is self._running:
                return 0
            for index, (waiting, _) in enumerate(self._waiting):
                if waiting is future:
                    return index + (self._running is not None)
        return None

    @property
    def waiting(self) -> int:
        """The number of jobs that wait."""
        with self._changed:
            return len(self._waiting)

    def close(self) -> None:
        """Cancel what waits and end the thread after the job that runs."""
        with self._changed:
            self._closed = True
            futures = [future for future, _ in self._waiting]
            self._changed.notify()
        for future in futures:
            future.cancel()

    def _forget(self, future: "Future[Any]") -> None:
        if future.cancelled():
            with self._changed:
                self._waiting = deque(job for job in self._waiting if job[0] is not future)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                future, work = self._waiting.popleft()
                self._running = future
            if future.set_running_or_notify_cancel():
                result, failure = None, None
                try:
                    result = work()
                except BaseException as error:  # the edge of a thread: whatever it is, it is the caller's
                    failure = error
                self._idle()  # before the caller wakes, who may submit again at once
                if failure is None:
                    future.set_result(result)
                else:
                    future.set_exception(failure)
                del result, failure
            else:
                self._idle()
            del future, work  # a finished job must not keep its pictures alive until the next one comes

    def _idle(self) -> None:
        with self._changed:
            self._running = None

"""One thread that runs one job at a time from a bounded queue, in which clients take turns.

It does not know what a job does, and it interrupts none: a job that must end early has to look for
itself whether it was cancelled.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, TypeVar

from model.errors import ModelError

T = TypeVar("T")

CLIENTS = 8
"""That may fill their queues at the same time; beyond, everybody is told that the model is busy."""

asking: ContextVar[str] = ContextVar("asking", default="")
"""Who asks. In the context, so that what lies between a client's request and the model need not know of clients."""


class ModelBusy(ModelError):
    """Every place in the queue is taken."""

    def __init__(self, waiting: int) -> None:
        questions = "1 question waits" if waiting == 1 else f"{waiting} questions wait"
        super().__init__(f"The model is busy and {questions} already; ask again in a moment.")
        self.waiting = waiting


class WorkerClosed(ModelError):
    """The worker takes no more jobs."""

    def __init__(self) -> None:
        super().__init__("The model was closed; open it again.")


class Worker:
    """Runs jobs on a daemon thread, which starts with the first job.

    Those of one client run in the order of their arrival, those of several in turns: who has asked ten questions
    delays another client by one.
    """

    # `_waiting`, `_running` and `_closed` change only under `_changed`. A job is in `_waiting` until the
    # thread takes it or its future is cancelled, so a cancelled job frees its place at once. `_waiting` has the
    # client whose turn is next first, and none without jobs.

    def __init__(self, queue_size: int) -> None:
        self.queue_size = queue_size
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        self._running: Future[Any] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Queue a job for the client that `asking` names; returns its future.

        `future.cancel()` takes it out again while it waits.

        Raises:
            ModelBusy: `queue_size` jobs of this client wait already, beside the one that runs, or too many of all.
            WorkerClosed: After `close()`.
        """
        future: Future[T] = Future()
        client = asking.get()
        with self._changed:
            if self._closed:
                raise WorkerClosed
            # A job that the thread has not fetched yet is as good as running: it takes no waiting place.
            running = self._running is not None
            if len(self._waiting.get(client, ())) + running > self.queue_size:
                raise ModelBusy(self.queue_size)
            if self._count() + running > self.queue_size * CLIENTS:
                raise ModelBusy(self._count())
            self._waiting.setdefault(client, deque()).append((future, work))
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
            for turn, jobs in enumerate(self._waiting.values()):
                for index, (waiting, _) in enumerate(jobs):
                    if waiting is future:
                        return self._before(turn, index) + (self._running is not None)
        return None

    @property
    def waiting(self) -> int:
        """The number of jobs that wait."""
        with self._changed:
            return self._count()

    def close(self) -> None:
        """Cancel what waits and end the thread after the job that runs."""
        with self._changed:
            self._closed = True
            futures = [future for jobs in self._waiting.values() for future, _ in jobs]
            self._changed.notify()
        for future in futures:
            future.cancel()

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _before(self, turn: int, index: int) -> int:
        """Return how many jobs come before the one at `index` of the client whose turn is the `turn`-th."""
        others = enumerate(self._waiting.values())
        return index + sum(min(len(jobs), index + (other < turn)) for other, jobs in others if other != turn)

    def _forget(self, future: "Future[Any]") -> None:
        if future.cancelled():
            with self._changed:
                for client, jobs in list(self._waiting.items()):
                    left = deque(job for job in jobs if job[0] is not future)
                    if left:
                        self._waiting[client] = left
                    else:
                        del self._waiting[client]

    def _next(self) -> tuple[Future[Any], Callable[[], Any]]:
        """Take the first job of the client whose turn it is; its others wait until all clients have had theirs."""
        client, jobs = next(iter(self._waiting.items()))
        job = jobs.popleft()
        del self._waiting[client]
        if jobs:
            self._waiting[client] = jobs
        return job

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                future, work = self._next()
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

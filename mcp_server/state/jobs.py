"""Questions that go on after their call: each under an id, for a bounded time and number.

It does not know how a question is answered, nor the protocol: `asking` hands over what runs, `get_job` asks for it.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from common.errors import LorgnetteError
from graph.answer import Result
from lorgnette.answer_text import AskResult
from model.errors import Cancelled

KEEP_S = 3600.0
MAX_FINISHED = 64
CLOSE_S = 0.5  # what was cancelled ends at once, but for its thread, which nobody waits for

JobState = Literal["running", "done", "failed", "cancelled"]


class JobResult(Result):
    """How far a job is, and its answer."""

    job_id: str
    state: JobState
    progress: str = Field(description="What is being done")
    seconds: float = Field(description="Since the question was asked")
    answer: AskResult | None = Field(description="Once state is done")


class JobMissing(LorgnetteError):
    """No job has this id, or not any more."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        shown = job_id if len(job_id) <= 64 else job_id[:63] + "…"
        super().__init__(
            f"There is no job {shown!r}; answers are kept for {KEEP_S / 60:.0f} minutes and until the server ends. "
            "Ask the question again."
        )


class Job:
    """One question that goes on; used on the event loop's thread alone."""

    def __init__(self, work: "asyncio.Task[AskResult]", began: float, describe: Callable[[], str]) -> None:
        self.id = str(uuid.uuid4())
        self.ended: float | None = None
        self._work, self._began, self._describe = work, began, describe
        self._cancelled = False

    @property
    def state(self) -> JobState:
        """How far it is."""
        if self._cancelled or (self._work.done() and self._work.cancelled()):
            return "cancelled"
        if not self._work.done():
            return "running"
        error = self._work.exception()
        if isinstance(error, Cancelled):
            return "cancelled"
        return "done" if error is None else "failed"

    @property
    def failure(self) -> BaseException | None:
        """Why it failed."""
        return self._work.exception() if self.state == "failed" else None

    def describe(self) -> str:
        """Say what is being done."""
        return self._describe() if self.state == "running" else self.state

    def result(self) -> JobResult:
        """Return how far it is, and the answer once there is one."""
        return JobResult(
            job_id=self.id,
            state=self.state,
            progress=self.describe(),
            seconds=round((time.monotonic() if self.ended is None else self.ended) - self._began, 1),
            answer=self._work.result() if self.state == "done" else None,
        )

    async def wait(self, timeout_s: float) -> None:
        """Return when it has ended, or after `timeout_s`; who stops to wait does not stop it."""
        await asyncio.wait({self._work}, timeout=timeout_s)

    def cancel(self) -> None:
        """Stop it, unless it has ended."""
        if not self._work.done():
            self._cancelled = True
            self._work.cancel()

    def note_end(self, clock: Callable[[], float]) -> None:
        """Keep the time of the end."""

        def ended(work: "asyncio.Task[AskResult]") -> None:
            self.ended = clock()
            if not work.cancelled():
                work.exception()  # else asyncio complains of a failure that nobody came to ask for

        self._work.add_done_callback(ended)


class Jobs:
    """All of them. How many run is not its business: a question has its place before it becomes a job."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}  # the oldest first

    def add(self, work: "asyncio.Task[AskResult]", began: float, describe: Callable[[], str]) -> Job:
        """Take over what runs."""
        self._forget()
        job = Job(work, began, describe)
        job.note_end(self._clock)
        self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobMissing: No job has this id, or not any more.
        """
        self._forget()
        if job_id not in self._jobs:
            raise JobMissing(job_id)
        return self._jobs[job_id]

    async def close(self) -> None:
        """Stop all that run; returns when all have been told."""
        for job in self._jobs.values():
            job.cancel()
            await job.wait(CLOSE_S)

    def _forget(self) -> None:
        ended = [(job.ended, job.id) for job in self._jobs.values() if job.ended is not None]
        expired = self._clock() - KEEP_S
        for number, (when, job_id) in enumerate(ended):
            if number < len(ended) - MAX_FINISHED or when < expired:
                del self._jobs[job_id]

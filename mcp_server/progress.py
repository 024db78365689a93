"""Progress of a call: a heartbeat that the protocol allows, and work on a thread that stops when told.

The protocol wants strictly increasing values, so the value is the seconds since the call began.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from graph.answer import Event
from lorgnette.answer_text import DOING

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

T = TypeVar("T")

SMALLEST_STEP_S = 0.001


class Heartbeat:
    """Reports what `describe` says every `every_s` seconds, and sooner after `wake`."""

    def __init__(self, ctx: "Context[Any, Any]", every_s: float, describe: Callable[[], str]) -> None:
        self.describe = describe
        self._ctx, self._every_s = ctx, every_s
        self._began = time.monotonic()
        self._last = 0.0
        self._loop, self._news = asyncio.get_running_loop(), anyio.Event()

    def wake(self) -> None:
        """Report now; may be called from any thread."""
        with suppress(RuntimeError):  # the server is gone, nobody waits for news
            self._loop.call_soon_threadsafe(lambda: self._news.set())

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            self._last = max(time.monotonic() - self._began, self._last + SMALLEST_STEP_S)
            await self._ctx.report_progress(round(self._last, 6), None, f"{self.describe()}, {self._last:.0f} s")
            with anyio.move_on_after(self._every_s):
                await self._news.wait()
            self._news = anyio.Event()


class Watch:
    """What is being done about a question; the nodes' news come from the thread on which they run."""

    def __init__(self, loading: Callable[[], str]) -> None:
        """Begin with what `loading` says, until `begin`."""
        self.wake: Callable[[], None] = lambda: None
        self._loading: Callable[[], str] | None = loading
        self._doing, self._chars, self._before = "beginning", 0, 0

    def begin(self) -> None:
        """The model is there."""
        self._loading = None

    def on_event(self, event: Event) -> None:
        """Take a node's news; a new node or place in the queue is reported at once, its words with the next beat."""
        if event.kind == "start":
            self._doing, self._chars = DOING.get(event.node, event.node), 0
        elif event.kind == "text":
            self._chars += len(event.text)
        self._before = event.position if event.kind == "queue" else 0
        if event.kind in ("start", "queue"):
            self.wake()

    def describe(self) -> str:
        """Say what is being done."""
        if self._loading is not None:
            return self._loading()
        if self._before:
            others = "1 question" if self._before == 1 else f"{self._before} questions"
            return f"{self._doing}, waiting for the model, {others} before this one"
        return f"{self._doing}, {self._chars} characters" if self._chars else self._doing


@asynccontextmanager
async def heartbeat(ctx: "Context[Any, Any]", every_s: float, describe: Callable[[], str]) -> AsyncIterator[Heartbeat]:
    """Report progress while the body runs."""
    beat = Heartbeat(ctx, every_s, describe)
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(beat.run)
        try:
            yield beat
        except Exception as error:  # carried past the group, which would wrap it into an ExceptionGroup
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run `work` on a thread of its own; its argument is set when nobody waits for the result any more.

    The thread is not waited for after that: the client gets its cancellation at once, the work stops
    at its next look at the event. A daemon, so that it cannot keep the process alive either.
    """
    cancel, result = threading.Event(), Future[T]()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(work(cancel))
        except BaseException as error:  # a thread's edge: it is raised where the result is awaited
            result.set_exception(error)

    context = copy_context()  # says whose question it is
    threading.Thread(target=context.run, args=(run,), name="ask", daemon=True).start()
    try:
        return await asyncio.wrap_future(result)
    finally:
        cancel.set()

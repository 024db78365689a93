"""An application that is put together once somebody has what comes first: its imports would hold that up.

A request that comes before waits for it, and has it put together at once. It knows no protocol.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Built:
    """An application, and whose life it has."""

    app: ASGIApp
    inner: Starlette
    """Its `lifespan` is entered before the first request."""


class LateApp:
    """Stands where the application will be; lives where `life` is entered."""

    def __init__(self, build: Callable[[], Built], wait: Callable[[], None], go: Callable[[], None]) -> None:
        """Put nothing together yet.

        Args:
            build: Puts it together; called on a thread.
            wait: Returns when that may begin; called on a thread.
            go: Lets `wait` return.
        """
        self._build, self._wait, self._go = build, wait, go
        self._ready: asyncio.Future[ASGIApp] | None = None
        self._wanted, self._ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as soon as that can be."""
        assert self._ready is not None, "requests come while it lives"
        self._wanted.set()
        app = await asyncio.shield(self._ready)
        await app(scope, receive, send)

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """Put it together in the background, and end it with the body."""
        self._ready = asyncio.get_running_loop().create_future()
        living = asyncio.create_task(self._live(self._ready), name="late application")
        threading.Thread(target=self._wait_for_go, args=(asyncio.get_running_loop(),), daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()
            self._wanted.set()
            self._go()
            await living

    async def _live(self, ready: "asyncio.Future[ASGIApp]") -> None:
        await self._wanted.wait()
        if self._ended.is_set():
            ready.cancel()
            return
        try:
            built = await asyncio.to_thread(self._build)
            async with built.inner.router.lifespan_context(built.inner):
                ready.set_result(built.app)
                await self._ended.wait()
        except Exception as error:  # the process edge: whoever asks hears of it, and the page goes on
            logger.exception("the server beside the page could not be started")
            if not ready.done():
                ready.set_exception(error)
                ready.exception()  # nobody may ask

    def _wait_for_go(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wait()
        self._go()  # who waits for the same later does not wait its time over again
        with suppress(RuntimeError):  # it ended meanwhile
            loop.call_soon_threadsafe(self._wanted.set)

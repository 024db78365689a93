"""The page as an application for the server to serve beside its own paths. NiceGUI holds one page a process."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request, Response
from nicegui import app, ui

from lorgnette.documents import Documents
from lorgnette.settings import Settings
from mcp_server.state.agent_loader import AgentLoader
from mcp_server.transport.guard import Beside
from model.errors import ImageError
from page.desk import Desk
from page.frame import show_frame
from page.opening.address import PREFIX, Address, Entrance
from page.pictures import ROUTE
from page.shelf import ChangeModel

logger = logging.getLogger(__name__)

RECONNECT_S = 30.0
"""So long what a browser shows is kept while it cannot be reached: a laptop that slept goes on where it was."""


class Page:
    """The page of one run; `beside` is what a server takes."""

    def __init__(self, secret: str | None = None, change_model: ChangeModel | None = None) -> None:
        """Put nothing together yet.

        Args:
            secret: Of a page that is gone on with; None makes one.
            change_model: Lets another model answer, by a new start; None keeps the model.
        """
        self.address = Address(secret)
        self._change_model = change_model

    def beside(self, settings: Settings, documents: Documents, loader: AgentLoader) -> Beside:
        """Put the page together."""
        desk = Desk(settings, documents, loader, self._change_model)
        add_routes(desk)

        @ui.page("/", title="Lorgnette", response_timeout=30.0)
        async def index(session: str | None = None, view: str = "chat", again: int | None = None) -> None:
            await show_frame(desk, session, view, again)

        outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        ui.run_with(
            outer,
            mount_path=self.address.path,
            title="Lorgnette",
            dark=None,
            favicon=Path(__file__).parents[1] / "icon.svg",
            reconnect_timeout=RECONNECT_S,
            show_welcome_message=False,
        )

        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            async with outer.router.lifespan_context(outer):
                tidying = asyncio.ensure_future(asyncio.to_thread(_tidy, desk))
                try:
                    yield
                finally:
                    tidying.cancel()
                    with suppress(asyncio.CancelledError):
                        await tidying
                    desk.close()

        return Beside(PREFIX, Entrance(outer, self.address), life)


def add_routes(desk: Desk) -> None:
    """Let the browser fetch pictures."""

    @app.get(ROUTE + "/{key}")
    async def picture(key: str, request: Request) -> Response:
        try:
            found = await asyncio.to_thread(desk.pictures.data, key)
        except ImageError as error:
            return Response(str(error), 410, media_type="text/plain")
        if found is None:
            return Response("There is no such picture.", 404, media_type="text/plain")
        return Response(found[0], media_type=found[1], headers={"Cache-Control": "private, no-cache"})


def _tidy(desk: Desk) -> None:
    desk.loader.wait_for_handshake()  # the page comes first
    try:
        desk.tidy()
    except Exception:  # a thread's edge: files that stay are no reason not to begin
        logger.exception("files that were given to the page could not be looked through")

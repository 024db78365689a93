"""Serving over HTTP: MCP at /mcp and the model's OpenAI-compatible endpoint at /v1, for this machine unless told else.

It decides where to listen and how to stop; who may pass is `mcp_server/transport/guard.py`'s business.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lorgnette.documents import Documents
from lorgnette.model_sharing.registry import NONCE_CHARS, PROOF_PATH, advertise, proof, shape_of
from lorgnette.opening import OpenAgent, open_served_agent
from lorgnette.settings import Settings
from mcp_server.state.agent_loader import HANDSHAKE_S, AgentLoader
from mcp_server.transport.bind import listen
from mcp_server.transport.checks import Checks, security
from mcp_server.transport.guard import ENDPOINT, Beside, Guard, for_pages
from mcp_server.transport.late import Built, LateApp
from mcp_server.transport.prompt_protocol import PromptProtocol
from model.open import is_remote

MCP_PATH = "/mcp"
STOP_S = 2
"""For answers that end by themselves when the server stops; they are cut off already."""
MAX_CONNECTIONS = 512
PAGE_S = 6.0
"""So long a model is not loaded before the page is drawn: its imports hold the interpreter."""
OpenBeside = Callable[[Settings, Documents, AgentLoader], Beside]
"""Makes what is served beside, from the settings, documents and agent that the server has."""


class HttpServer:
    """A server that has its port and waits to be run."""

    def __init__(
        self,
        settings: Settings,
        host: str,
        port: int,
        open_agent: OpenAgent | None = None,
        *,
        beside: OpenBeside | None = None,
        attaches: bool = False,
    ) -> None:
        """Take the port; opens nothing else.

        Args:
            settings: Read once by the caller.
            host: Name or address to listen on.
            port: 0 takes any that is free.
            open_agent: Loads the agent; None loads the real one.
            beside: Served on the same port.
            attaches: Whether another server's model may answer here, so that no other process is offered it.

        Raises:
            ListenRefused: By a child.
        """
        self._settings, self._place, self._attaches = settings, listen(settings, host, port), attaches
        self.key = secrets.token_hex(32)
        """Other processes of this machine may bear it instead of the token."""
        guard = build_http_app(settings, self.key, [self._place.name], open_agent, beside=beside, attaches=attaches)
        self._server = _Server(guard, self._started, "auto" if beside is not None else "none")
        self._announcement = contextlib.ExitStack()
        self._say: Callable[[str], None] = lambda text: None

    @property
    def url(self) -> str:
        """Where clients on this machine find it, without a path."""
        return self._place.url

    def run(self, say: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; `say` is told where, as soon as clients may connect.

        Raises:
            KeyboardInterrupt: It was stopped by Ctrl-C.
        """
        self._say = say
        with contextlib.closing(self._place.listener), self._announcement:
            asyncio.run(self._server.serve(sockets=[self._place.listener]))
        if self._server.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Cut off what is being answered and end; from any thread."""
        self._server.should_exit = True

    def _started(self) -> None:
        text = f"Lorgnette listens on {self.url}{MCP_PATH}"
        if not is_remote(self._settings.model):
            text += f", its model on {self.url}{ENDPOINT}"
        shape = shape_of(self._settings) if self._place.is_local and not self._attaches else None
        self._announcement.enter_context(advertise(self.url + ENDPOINT, self.key, shape))
        self._say(f"{text}; stop it with Ctrl-C.")


def build_http_app(
    settings: Settings,
    key: str,
    names: Sequence[str] = (),
    open_agent: OpenAgent | None = None,
    *,
    beside: OpenBeside | None = None,
    attaches: bool = False,
) -> Guard:
    """Return the whole application.

    Args:
        settings: Read once by the caller.
        key: That other processes of this machine may bear instead of the token.
        names: Hosts by which it may be addressed, beside this machine's and those of the settings.
        open_agent: Loads the agent; None loads the real one.
        beside: Served on the same port.
        attaches: Whether another server's model may answer here.
    """
    # Whoever attaches wants the model that is here.
    own = settings if attaches else settings.model_copy(update={"attach": "never"})
    documents = Documents(own)
    opening = open_agent or partial(open_served_agent, documents=documents)
    loader = AgentLoader(own, opening, HANDSHAKE_S if beside is None else PAGE_S)
    checks = security([*names, *settings.allowed_hosts])
    token = settings.token.get_secret_value() if settings.token else None

    def build() -> Built:
        # whoever wants a remote model can ask it without us
        return _build(own, key, loader, documents, checks, endpoint=beside is not None or not is_remote(settings.model))

    if beside is None:
        built = build()
        return Guard(built.app, checks, token, key)
    late = LateApp(build, loader.wait_for_handshake, loader.handshake_done)
    opened = beside(own, documents, loader)
    return Guard(_living(late, opened, key), checks, token, key, opened)


def _build(
    settings: Settings, key: str, loader: AgentLoader, documents: Documents, checks: Checks, *, endpoint: bool
) -> Built:
    """Return MCP and the endpoint; imports what both need."""
    from mcp.server.transport_security import TransportSecuritySettings

    from mcp_server.app import build_server
    from mcp_server.openai_api.endpoint import add_endpoint
    from mcp_server.transport.mended_body import MendedBody

    server = build_server(settings, loader=loader, documents=documents)
    if endpoint:
        add_endpoint(server, settings, loader, key)
    allowed = TransportSecuritySettings(
        allowed_hosts=list(checks.allowed_hosts), allowed_origins=list(checks.allowed_origins)
    )
    app = server.streamable_http_app(streamable_http_path=MCP_PATH, transport_security=allowed)
    return Built(MendedBody(app, MCP_PATH), app)


def _living(late: LateApp, beside: Beside, key: str) -> ASGIApp:
    """Return the application behind what is beside it; both begin and end with the server.

    That it knows the key it proves at once: whoever looks for a server that runs does not wait long.
    """

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        async with beside.life(), late.life():
            yield

    ends = Starlette(lifespan=life)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await ends(scope, receive, send)
        elif scope["path"] == ENDPOINT + PROOF_PATH:
            nonce = Request(scope).query_params.get("nonce", "")[:NONCE_CHARS]
            await JSONResponse({"proof": proof(key, nonce)})(scope, receive, send)
        else:
            await late(scope, receive, send)

    return app


class _Server(uvicorn.Server):
    """uvicorn, which ends its requests before it waits for them, and does not kill itself with the signal it got."""

    def __init__(self, guard: Guard, started: Callable[[], None], ws: Literal["auto", "none"]) -> None:
        super().__init__(
            uvicorn.Config(
                for_pages(guard),
                http=PromptProtocol,
                log_config=None,
                access_log=False,
                ws=ws,
                lifespan="on",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        self._guard, self._on_started = guard, started
        self.stopped_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self._on_started)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._guard.stop()
        sdk = logging.getLogger("mcp")
        level = sdk.level
        sdk.setLevel(logging.ERROR)  # it warns of answers that nobody waits for any more
        try:
            await super().shutdown(sockets)
        finally:
            sdk.setLevel(level)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stopped_by = self.stopped_by or sig
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again afterwards, and SIGTERM would then end the process before its files
        # are put away.
        if threading.current_thread() is not threading.main_thread():  # no other may listen to signals
            yield
            return
        signals = [
            getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP") if hasattr(signal, name)
        ]
        before: dict[Any, Any] = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

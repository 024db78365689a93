"""`build_server(settings)`: the one factory of the server. It loads no model; its lifespan begins to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from mcp_server.keeping import Keeper
from mcp_server.loading import AgentLoader, OpenAgent, close_knowledge, open_real_agent
from mcp_server.middleware import StrictArguments
from mcp_server.settings import Settings
from mcp_server.tools import App, add_tools
from mcp_server.versions import own_version

INSTRUCTIONS = """Lorgnette looks at pictures on the user's machine with a local vision model, answers questions \
about them, and searches the user's documents. Give paths inside the allowed folders: {roots}. Pass every picture that \
a question is about in one call. Answers name their evidence; read `degraded` before you rely on one. The first call \
may wait for the model to load."""


def build_server(
    settings: Settings, open_agent: OpenAgent | None = None, *, heartbeat_s: float = 2.0
) -> MCPServer[App]:
    """Build the server, ready to run on any transport.

    Args:
        settings: Read once by the caller.
        open_agent: Loads the agent; `graph.session.open_agent` where none is given.
        heartbeat_s: Longest time without a progress report during a call.
    """
    loader = AgentLoader(settings, open_agent or open_real_agent)

    @asynccontextmanager
    async def lifespan(_: MCPServer[App]) -> AsyncIterator[App]:
        loader.start()
        keeper = Keeper(settings, loader.wait_for_handshake, loader.opened)
        keeper.start()
        try:
            yield App(settings, loader, heartbeat_s)
        finally:
            keeper.stop()
            close_knowledge()

    async def let_handshake_pass(ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "tools/list":
            loader.handshake_done()
        return result

    server: MCPServer[App] = MCPServer(
        "lorgnette",
        title="Lorgnette",
        description="Answers questions about local pictures with a local vision model, and checks its answers.",
        instructions=INSTRUCTIONS.format(roots=", ".join(str(root) for root in settings.roots)),
        version=own_version(),
        log_level="WARNING",
        lifespan=lifespan,
    )
    server.middleware.extend([StrictArguments(server), let_handshake_pass])
    add_tools(server)
    return server

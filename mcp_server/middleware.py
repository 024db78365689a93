"""Strict arguments, and the one place where the project's errors become tool errors.

It closes what the SDK leaves open: unknown tools, unknown arguments and cursors that we never gave.
It does not check values: the tools' schemas do.
"""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, TextContent

from model.errors import LorgnetteError
from retrieval.errors import RetrievalError

logger = logging.getLogger(__name__)

LISTS = {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}


@contextmanager
def tool_errors() -> Iterator[None]:
    """Turn errors into `ToolError`, the only kind whose text the calling model gets to read."""
    try:
        yield
    except (LorgnetteError, RetrievalError) as error:
        raise ToolError(str(error)) from error
    except Exception as error:  # the process edge: the model needs a sentence, the user's log the traceback
        logger.exception("unexpected failure in a tool")
        name = type(error).__name__
        raise ToolError(f"An unexpected {name} ended the call; the server's log on stderr has the details.") from error


class StrictArguments:
    """Refuses what a server of ours never offered."""

    def __init__(self, server: MCPServer[Any]) -> None:
        self._server = server

    async def __call__(self, ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
        """Answer a malformed request, or pass the request on."""
        params = ctx.params or {}
        if ctx.method in LISTS and params.get("cursor") is not None:
            raise MCPError(code=INVALID_PARAMS, message="Invalid cursor: this list has one page, ask without a cursor")
        if ctx.method == "tools/call":
            refusal = await self._refuse_call(params.get("name"), params.get("arguments"))
            if refusal is not None:
                return refusal
        return await call_next(ctx)

    async def _refuse_call(self, name: object, arguments: object) -> CallToolResult | None:
        tools = {tool.name: tool for tool in await self._server.list_tools()}
        if not isinstance(name, str) or name not in tools:
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {name!r}; known: {', '.join(sorted(tools))}")
        known = list(tools[name].input_schema.get("properties", {}))
        unknown = sorted(set(arguments) - set(known)) if isinstance(arguments, dict) else []
        if not unknown:
            return None
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        shown = ", ".join(repr(argument) for argument in unknown)
        text = f"{name} has no argument {shown}{hint} It takes {', '.join(known)}."
        return CallToolResult(is_error=True, content=[TextContent(type="text", text=text)])

"""Strict requests, and the one place where the project's errors become tool errors.

It closes what the SDK leaves open: unknown tools, prompts and arguments, cursors that we never gave, too many calls.
It does not check values: the tools' schemas do, it says in plain words what they refused.
"""

import difflib
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, InputRequiredResult, TextContent
from pydantic import ValidationError

from common.errors import LorgnetteError
from graph.errors import SessionIdInvalid, SessionMissing
from mcp_server.arguments import as_meant
from mcp_server.caller import caller_of
from mcp_server.errors import NothingHere
from mcp_server.state.limits import RateLimit

logger = logging.getLogger(__name__)

SHOWN_ERRORS = 3
LISTS = {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}


@contextmanager
def tool_errors() -> Iterator[None]:
    """Turn errors into `ToolError`, the only kind whose text the calling model gets to read."""
    try:
        yield
    except LorgnetteError as error:
        raise ToolError(str(error)) from error
    except Exception as error:  # the process edge: the model needs a sentence, the user's log the traceback
        logger.exception("unexpected failure in a tool")
        name = type(error).__name__
        raise ToolError(f"An unexpected {name} ended the call; the server's log on stderr has the details.") from error


@contextmanager
def resource_errors() -> Iterator[None]:
    """Turn errors into `ResourceError`, or into its child for what is not there, which clients tell apart."""
    try:
        yield
    except (NothingHere, SessionMissing, SessionIdInvalid) as error:
        raise ResourceNotFoundError(str(error)) from error
    except LorgnetteError as error:
        raise ResourceError(str(error)) from error


S = TypeVar("S")


class StrictServer(MCPServer[S]):
    """Says which argument a tool's schema refused, without the value, which is the caller's."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[S, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; raises as its base."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_refused(name, error.__cause__)) from error.__cause__
            raise


def _refused(tool: str, error: ValidationError) -> str:
    """Return what is wrong with the arguments, the first few."""
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{_place(one['loc'])}: {_wanted(one['type'], one['msg'])}" for one in wrong[:SHOWN_ERRORS]]
    more = f"; and {len(wrong) - SHOWN_ERRORS} more" if len(wrong) > SHOWN_ERRORS else ""
    return f"{tool} cannot be called like this: {'; '.join(said)}{more}. Correct that and call again."


def _wanted(kind: str, message: str) -> str:
    """Return what to send, in words; a pattern is for programs."""
    if kind == "string_pattern_mismatch":
        return "letters, digits, '.', '_' and '-' only, as an earlier answer gave it"
    return f"{message[:1].lower()}{message[1:]}"


def _place(loc: Sequence[int | str]) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f"{'.' if at else ''}{part}" for at, part in enumerate(loc)
    )


class LimitedCalls:
    """Turns away a client's tool calls beyond its rate."""

    def __init__(self, rate: RateLimit) -> None:
        self._rate = rate

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass the request on, or answer how long to wait."""
        wait_s = self._rate.wait_s(caller_of(ctx)) if ctx.method == "tools/call" else 0.0
        if not wait_s:
            return await call_next(ctx)
        return _error_result(
            f"Too many calls: {self._rate.calls_per_minute} in a minute are allowed; "
            f"wait {math.ceil(wait_s)} s and call again."
        )


def _error_result(text: str) -> CallToolResult:
    return CallToolResult(is_error=True, content=[TextContent(type="text", text=text)])


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
            tools = {tool.name: tool for tool in await self._server.list_tools()}
            name = params.get("name")
            if not isinstance(name, str) or name not in tools:
                known = ", ".join(sorted(tools))
                raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool: {name!r}; known: {known}")
            meant = as_meant(params.get("arguments"), tools[name].input_schema)
            refusal = _refuse_arguments(name, meant, list(tools[name].input_schema.get("properties", {})))
            if refusal is not None:
                return refusal
            ctx = replace(ctx, params={**params, "arguments": meant})
        if ctx.method == "prompts/get":
            await self._refuse_prompt(params.get("name"), params.get("arguments"))
        return await call_next(ctx)

    async def _refuse_prompt(self, name: object, arguments: object) -> None:
        prompts = {prompt.name: prompt for prompt in await self._server.list_prompts()}
        if not isinstance(name, str) or name not in prompts:
            known = ", ".join(sorted(prompts)) or "none"
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown prompt: {name!r}; known: {known}")
        takes = {argument.name: argument.required for argument in prompts[name].arguments or []}
        given = set(arguments) if isinstance(arguments, dict) else set()
        missing, unknown = [key for key, required in takes.items() if required and key not in given], given - set(takes)
        if missing or unknown:
            lacks = f" lacks {', '.join(missing)};" if missing else ""
            extra = f" has no argument {', '.join(map(repr, sorted(unknown)))};" if unknown else ""
            message = f"The prompt {name}{lacks}{extra} it takes {', '.join(takes) or 'none'}"
            raise MCPError(code=INVALID_PARAMS, message=message)


def _refuse_arguments(tool: str, arguments: object, known: list[str]) -> CallToolResult | None:
    """Return why arguments are refused that the tool does not have; None if it has them all."""
    if not isinstance(arguments, dict):
        return _error_result(f"{tool} takes its arguments as one JSON object: {', '.join(known)}.")
    unknown = sorted(set(arguments) - set(known))
    if not unknown:
        return None
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    shown = ", ".join(repr(argument) for argument in unknown)
    return _error_result(f"{tool} has no argument {shown}{hint} It takes {', '.join(known)}.")

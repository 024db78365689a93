"""Who a request is from, so that clients of one server can take turns. It is no proof of identity."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CLIENT_INFO_META_KEY

from model.worker import asking


def caller_of(ctx: ServerRequestContext[Any, Any]) -> str:
    """Return the session where there is one, else the machine and the program; over stdio there is but one client."""
    request = ctx.request
    if request is None:
        return "stdio"
    session = request.headers.get("mcp-session-id")
    if session is not None:
        return f"session {session}"
    info = (ctx.params or {}).get("_meta") or {}
    name = info.get(CLIENT_INFO_META_KEY) if isinstance(info, dict) else None
    program = name.get("name") if isinstance(name, dict) else request.headers.get("user-agent")
    return f"{request.client.host if request.client else ''} {program}"


async def in_turns(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Let the model know whose question it gets (server middleware)."""
    token = asking.set(caller_of(ctx))
    try:
        return await call_next(ctx)
    finally:
        asking.reset(token)

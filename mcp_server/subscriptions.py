"""Clients that want to hear of changes: who they are and what they wait for (server middleware).

What the SDK does for clients of 2026 it leaves to us for older ones: to say that there will be news, to remember them,
and `resources/subscribe`.
"""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, EmptyResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_server.caller import caller_of
from mcp_server.progress import in_thread
from mcp_server.state.app import App

MAX_URI = 4000  # characters


async def subscriptions(ctx: ServerRequestContext[App, Any], call_next: CallNext) -> HandlerResult:
    """Take what concerns subscriptions out of the requests."""
    if ctx.method == "subscriptions/listen":
        uris = _listened(ctx.params or {})
        news = ctx.lifespan_context.news
        await in_thread(lambda _: news.note(uris))
        with news.listening(uris):
            return await call_next(ctx)
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return await call_next(ctx)
    if ctx.method in ("resources/subscribe", "resources/unsubscribe"):
        return await _subscribed(ctx, (ctx.params or {}).get("uri"))
    result = await call_next(ctx)
    if ctx.method == "initialize" and isinstance(result, dict):
        result["capabilities"]["resources"] = {"subscribe": True, "listChanged": True}
    elif ctx.method == "notifications/initialized":
        ctx.lifespan_context.news.joined(caller_of(ctx), ctx.session)
    return result


async def _subscribed(ctx: ServerRequestContext[App, Any], uri: object) -> EmptyResult:
    if not isinstance(uri, str) or not 0 < len(uri) <= MAX_URI:
        raise MCPError(code=INVALID_PARAMS, message="uri must name a resource")
    news, name = ctx.lifespan_context.news, caller_of(ctx)
    if ctx.method == "resources/unsubscribe":
        news.unsubscribe(name, uri)
        return EmptyResult()
    await in_thread(lambda _: news.note([uri]))
    if not news.subscribe(name, ctx.session, uri):
        raise MCPError(code=INVALID_PARAMS, message="Too many subscriptions: unsubscribe from some first")
    return EmptyResult()


def _listened(params: Mapping[str, Any]) -> list[str]:
    wanted = params.get("notifications")
    uris = wanted.get("resourceSubscriptions") if isinstance(wanted, Mapping) else None
    return [uri for uri in uris if isinstance(uri, str) and len(uri) <= MAX_URI] if isinstance(uris, list) else []

"""Bodies of HTTP requests that hold what the protocol's reader would refuse, mended on the way (ASGI)."""

import re

from mcp.types import JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.transport.odd_messages import mended, refusal_of_id

MOST_BYTES = 8 * 2**20
"""A larger body is passed on as it is; the protocol's own limit is half of this."""
BOM = b"\xef\xbb\xbf"
_SUSPECT = re.compile(rb"\\u[dD][89a-fA-F]")


class MendedBody:
    """Mends the bodies of POST requests to one path."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, mend it where it needs it, and pass the request on."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        waiting: list[Message] = []
        while more and len(body) <= MOST_BYTES:
            message = await receive()
            if message["type"] != "http.request":
                waiting.append(message)  # it left
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
        refusal = _refused(body) if not more else None
        if refusal is not None:
            await JSONResponse(refusal.model_dump(exclude_none=False), 400)(scope, receive, send)
            return
        waiting.insert(0, {"type": "http.request", "body": _mended(body), "more_body": more})

        async def again() -> Message:
            return waiting.pop(0) if waiting else await receive()

        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(waiting[0]["body"])).encode()))
        await self._app(scope if more else {**scope, "headers": headers}, again, send)


def _refused(body: bytes) -> JSONRPCError | None:
    """Return the answer to a request whose id is none, which would be taken for a notification."""
    try:
        return refusal_of_id(jsonrpc_message_adapter.validate_json(body, by_name=False)) if b'"id"' in body else None
    except ValidationError:
        return None  # said by the protocol's reader


def _mended(body: bytes) -> bytes:
    if not (body.startswith(BOM) or _SUSPECT.search(body)):
        return body
    text = mended(body.decode("utf-8", "replace"))
    return body if text is None else text.encode()

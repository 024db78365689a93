"""Space around the value of an HTTP header, which is no part of the value (RFC 9110, 5.5)."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from mcp_server.transport.guard import Guard, security

pytestmark = pytest.mark.anyio


async def test_space_around_a_header_is_gone_before_anybody_compares_it() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        """Nobody answers."""

    headers = [(b"host", b" 127.0.0.1:8765\t"), (b"mcp-name", b"  ask_image \t"), (b"accept", b"a, b")]
    scope = {"type": "http", "method": "GET", "path": "/mcp", "query_string": b"", "headers": headers}
    await Guard(app, security([]), None, "key")(scope, receive, send)
    assert [value for _, value in seen[0]["headers"]] == [b"127.0.0.1:8765", b"ask_image", b"a, b"]

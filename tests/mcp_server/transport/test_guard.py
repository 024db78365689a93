"""Space around the value of an HTTP header, which is no part of the value (RFC 9110, 5.5)."""

import pytest
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from mcp_server.transport.checks import security
from mcp_server.transport.guard import Guard

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


@pytest.mark.parametrize("hosts", [(), ("Box.local", "192.0.2.7")])
async def test_hosts_and_origins_pass_as_by_the_sdks_own_rules(hosts: tuple[str, ...]) -> None:
    checks = security(hosts)
    theirs = TransportSecurityMiddleware(
        TransportSecuritySettings(allowed_hosts=[*checks.allowed_hosts], allowed_origins=[*checks.allowed_origins])
    )
    names = ["", "127.0.0.1", "127.0.0.1:8765", "127.0.0.1.evil.example", "localhost", "localhost:", "localhost:x",
             "[::1]:80", "[::1]", "::1", "box.local:1", "box.local", "192.0.2.7:9", "evil.example", "evil.example:8765",
             "127.0.0.1:*", "127.0.0.1@evil.example"]  # fmt: skip
    origins = [None, "", "null", *(f"{scheme}://{name}" for name in names for scheme in ("http", "https", "ftp"))]
    verdicts = set()
    for host, origin in [(n, None) for n in names] + [("127.0.0.1", o) for o in origins]:
        headers = [(b"host", host.encode())] + ([] if origin is None else [(b"origin", origin.encode())])
        request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})
        ours, wanted = checks.refusal(request), await theirs.validate_request(request)
        assert (ours and ours.status_code) == (wanted and wanted.status_code), (host, origin)
        verdicts.add(ours and ours.status_code)
    assert verdicts == {None, 421, 403}

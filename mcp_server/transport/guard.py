"""What every HTTP request must pass, whatever it asks for, and what becomes of requests whose client or server leaves.

It knows paths and headers; what a request means is the business of the application behind it.
"""

import hmac
import ipaddress
import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorgnette.model_sharing.registry import PROOF_PATH
from mcp_server.transport.checks import Checks

ENDPOINT = "/v1"
ATTACHED = "lorgnette.attached"
"""Key of a request's scope: true where it is from another Lorgnette on this machine."""
INVALID_REQUEST = -32600  # JSON-RPC 2.0, section 5.1
MAX_KEPT_BYTES = 4 * 1024 * 1024  # of a request's body, as the SDK reads them


def for_pages(guard: "Guard") -> ASGIApp:
    """Return the guarded application with the headers that a browser wants before a page may read its answers (CORS).

    The pages are those whose Origin the guard lets pass; another's is refused by both.
    """
    forms = [re.escape(form).replace(r":\*", r":\d+") for form in guard.checks.allowed_origins]
    return CORSMiddleware(
        guard,
        allow_origin_regex="|".join(forms),
        allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["mcp-session-id", "retry-after"],
    )


def is_loopback(host: str) -> bool:
    """Return whether the address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Beside:
    """An application on the same port that knows by itself who may pass: a browser bears no token."""

    prefix: str
    """Of its paths, such as `/page`."""
    app: ASGIApp
    """Lets nobody in who does not know the secret that stands in its addresses."""
    life: Callable[[], AbstractAsyncContextManager[None]]
    """Entered while the server runs."""

    def has(self, path: str) -> bool:
        """Return whether a path is one of its own."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")


class Guard:
    """The outermost application."""

    def __init__(
        self,
        app: ASGIApp,
        checks: Checks,
        token: str | None,
        key: str,
        beside: Beside | None = None,
    ) -> None:
        """Stand before `app`.

        Args:
            app: Gets what passes.
            checks: Host and Origin.
            token: That every client must bear; none asks for none.
            key: That other processes of this machine may bear instead, at the endpoint.
            beside: Gets what passes under its own paths, sockets as well, without a token.
        """
        self.checks = checks
        """Host and Origin that pass."""
        self._app, self._beside = app, beside
        self._token, self._key = token, key
        self._running: set[anyio.CancelScope] = set()
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Not every parser of uvicorn's takes away the space around a value, which is no part of it (RFC 9110, 5.5).
        # And names of hosts are the same in any case (RFC 3986, 3.2.2), which the SDK's check does not know.
        scope = {
            **scope,
            "headers": [
                (name, value.strip(b" \t").lower() if name in (b"host", b"origin") else value.strip(b" \t"))
                for name, value in scope["headers"]
            ],
        }
        request = Request(scope)
        refusal = self.checks.refusal(request) or self._refuse(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        app = self._beside.app if self._beside is not None and self._beside.has(request.url.path) else self._app
        with anyio.CancelScope() as running:
            self._running.add(running)
            try:
                await app(scope, exchange.receive, exchange.send)
            finally:
                self._running.discard(running)
        if running.cancelled_caught:
            await exchange.finish()
        elif exchange.left and app is self._app:
            await self._cancel(request, exchange)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a socket on to the application beside, by the same checks; nobody else speaks over one."""
        asked = Request({**scope, "type": "http", "method": "GET"})
        refused = self._stopping or self.checks.refusal(asked) is not None
        if refused or self._beside is None or not self._beside.has(scope["path"]):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        with anyio.CancelScope() as running:
            self._running.add(running)
            try:
                await self._beside.app(scope, receive, send)
            finally:
                self._running.discard(running)

    def stop(self) -> None:
        """End all requests; those to come are refused."""
        self._stopping = True
        for running in list(self._running):
            running.cancel()

    def _refuse(self, request: Request) -> Response | None:
        if self._stopping:
            return refusal_of("The server is stopping; ask again when it is back.", 503)
        path = request.url.path
        if self._beside is not None and self._beside.has(path):
            return None
        attaching = path.startswith(f"{ENDPOINT}/") and is_loopback(request.client.host if request.client else "")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        bearer = given.strip() if scheme.lower() == "bearer" else ""
        if attaching and _same(bearer, self._key):
            request.scope[ATTACHED] = True
            return None
        if self._token is None or _same(bearer, self._token) or (attaching and path == ENDPOINT + PROOF_PATH):
            return None
        return refusal_of(
            "This server wants a bearer token; send it as 'Authorization: Bearer TOKEN'.", 401,
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    async def _cancel(self, request: Request, exchange: "_Exchange") -> None:
        """Cancel a call of the older protocol whose client has left.

        Its answer can reach nobody, because no stream is ever resumed here; the newer protocol says so itself.
        """
        if request.method != "POST" or "mcp-session-id" not in request.headers:
            return
        try:
            number = json.loads(exchange.body)["id"]
        except (ValueError, KeyError, TypeError):
            return
        body = json.dumps({
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": number, "reason": "the client has disconnected"},
        }).encode()  # fmt: skip
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
        told = False

        async def receive() -> Message:
            nonlocal told
            if told:
                await anyio.sleep_forever()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(_: Message) -> None:
            """Nobody listens."""

        await self._app({**request.scope, "headers": headers}, receive, send)


def refusal_of(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """Return an error that clients of either protocol can show."""
    error = {"code": INVALID_REQUEST, "message": text, "type": "lorgnette"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


class _Exchange:
    """One request and its answer, watched in passing."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._started = self._complete = False
        self.left = False
        """The client went before the answer was complete."""
        self.body = b""

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.left = not self._complete
        elif len(self.body) < MAX_KEPT_BYTES:
            self.body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)
        await self._send(message)

    async def finish(self) -> None:
        """End an answer that was cut off."""
        if not self._started:
            scope: dict[str, Any] = {"type": "http"}
            await refusal_of("The server is stopping; ask again when it is back.", 503)(
                scope, self._receive, self._send
            )
        elif not self._complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

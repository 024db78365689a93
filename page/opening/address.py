"""The page's addresses and who may use them: a secret of this run in each, and tickets that are good for one visit.

The command line of a browser can be read by other users of the machine, so that it gets a ticket and not the secret.
"""

import hmac
import secrets
import time

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/page"
TICKET_PATH = "ticket"
TICKET_S = 120.0
"""A ticket that nobody used by then is void."""
# Vue compiles its templates in the browser. Whatever an answer holds, nothing is fetched from elsewhere, so that a
# picture in a hostile document cannot tell anybody that it was read.
CONTENT_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
OTHER_RUN = "This address belongs to no page that runs now. Run `lorgnette open` for a new one.\n"
USED = "This address was good for one visit and has been used. Run `lorgnette open` again.\n"


class Address:
    """The secret of one run."""

    def __init__(self, secret: str | None = None) -> None:
        """Make a secret; one that is given goes on with a run that ended without taking leave of its tabs."""
        self._secret = secret or secrets.token_urlsafe(24)
        self._tickets: dict[str, float] = {}

    @property
    def secret(self) -> str:
        """What every address of the page holds."""
        return self._secret

    @property
    def path(self) -> str:
        """Under which the page is."""
        return f"{PREFIX}/{self._secret}"

    def ticket(self) -> str:
        """Return the path of a new ticket."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = time.monotonic() + TICKET_S
        return f"{PREFIX}/{TICKET_PATH}/{ticket}"

    def redeem(self, ticket: str) -> bool:
        """Return whether a ticket was good, and make it void."""
        return time.monotonic() < self._tickets.pop(ticket, 0.0)

    def has(self, path: str) -> bool:
        """Return whether a path holds the secret."""
        begin = path.encode("utf-8", "surrogateescape")[: len(self.path)]
        return hmac.compare_digest(begin, self.path.encode()) and path[len(self.path) : len(self.path) + 1] in ("", "/")


class Entrance:
    """The application in front of the page (ASGI): passes on what bears the secret, and redeems tickets."""

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self._app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or say why not."""
        path: str = scope["path"]
        if scope["type"] == "websocket":
            if self._address.has(path):
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        if self._address.has(path):
            own = path[len(self._address.path) :]
            if own == f"/{TICKET_PATH}" and scope["method"] == "POST":
                await PlainTextResponse(self._address.ticket())(scope, receive, send_safely)
            elif own == "":
                await RedirectResponse(f"{self._address.path}/")(scope, receive, send_safely)
            else:
                await self._app(scope, receive, send_safely)
            return
        await self._outside(path)(scope, receive, send_safely)

    def _outside(self, path: str) -> Response:
        begin = f"{PREFIX}/{TICKET_PATH}/"
        if not path.startswith(begin):
            return PlainTextResponse(OTHER_RUN, 404)
        if not self._address.redeem(path.removeprefix(begin)):
            return PlainTextResponse(USED, 410)
        return RedirectResponse(f"{self._address.path}/", 303)

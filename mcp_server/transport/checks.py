"""Which Host and Origin headers are taken, so that no page of the network reaches this machine (DNS rebinding).

The rules are those of `mcp.server.transport_security`, to which a test holds them. That package takes half a second to
import, and a page that is opened must be guarded before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Checks:
    """Values of both headers; a form that ends with `:*` takes any port."""

    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]

    def refusal(self, request: Request) -> Response | None:
        """Return why a request does not pass, or None; a request without an Origin is from no page."""
        if not _is_one_of(request.headers.get("host") or "", self.allowed_hosts):
            return Response("Invalid Host header", 421)
        origin = request.headers.get("origin")
        if origin and not _is_one_of(origin, self.allowed_origins):
            return Response("Invalid Origin header", 403)
        return None


def security(hosts: Sequence[str]) -> Checks:
    """Return which headers are taken: those of this machine, and of the given hosts with any port."""
    names = [name.lower() for name in (*LOOPBACK_NAMES, *hosts)]
    return Checks(
        allowed_hosts=tuple(form for name in names for form in (name, f"{name}:*")),
        allowed_origins=tuple(
            form for name in names for scheme in ("http", "https")
            for form in (f"{scheme}://{name}", f"{scheme}://{name}:*")
        ),
    )  # fmt: skip


def _is_one_of(value: str, allowed: Sequence[str]) -> bool:
    return any(value == form or (form.endswith(":*") and value.startswith(form[:-1])) for form in allowed)

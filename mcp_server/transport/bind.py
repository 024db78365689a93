"""Where the HTTP server listens: its port is taken before anything else is opened, or refused in one sentence.

Other machines may reach only a server that asks for a token and knows its own names.
"""

import errno
import socket
from dataclasses import dataclass

from common.errors import LorgnetteError
from lorgnette.settings import Settings
from mcp_server.transport.guard import is_loopback

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class ListenRefused(LorgnetteError):
    """The server cannot listen where it was told to."""


class PortInUse(ListenRefused):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"Port {port} of {host!r} is in use, perhaps by another Lorgnette; stop that or choose another with --port."
        )


class HostUnavailable(ListenRefused):
    """There is no such address on this machine, or it may not be used."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port = host, port
        super().__init__(
            f"The server cannot listen on {host!r}, port {port} ({reason}); choose others with --host, --port."
        )


class Unprotected(ListenRefused):
    """Other machines would reach a server that does not protect itself."""

    def __init__(self, host: str, missing: str) -> None:
        self.host = host
        super().__init__(
            f"Other machines can reach {host!r}, so that a token (LORGNETTE_TOKEN) and allowed_hosts are both needed; "
            f"set {missing}, or leave out --host."
        )


@dataclass(frozen=True)
class Place:
    """Where the server listens."""

    listener: socket.socket
    address: str
    """Numeric."""
    port: int

    @property
    def url(self) -> str:
        """What a client on this machine connects to."""
        host = WILDCARDS.get(self.address, self.address)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether this machine reaches it by the loopback."""
        return self.address in WILDCARDS or is_loopback(self.address)

    @property
    def name(self) -> str:
        """The address as a Host header has it."""
        return f"[{self.address}]" if ":" in self.address else self.address


def listen(settings: Settings, host: str, port: int) -> Place:
    """Take the port.

    Raises:
        ListenRefused: By a child.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise HostUnavailable(host, port, getattr(error, "strerror", None) or "it is no host name") from error
    missing = [
        name for name, given in (("LORGNETTE_TOKEN", settings.token), ("allowed_hosts", settings.allowed_hosts))
        if not given
    ]  # fmt: skip
    if missing and not is_loopback(str(address[0])):
        raise Unprotected(host, " and ".join(missing))
    # With the protocol's number: by that asyncio knows to send at once, where it would wait 40 ms for more.
    listener = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: there REUSEADDR would share the port with its owner
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from error
        raise HostUnavailable(host, port, error.strerror or "unknown reason") from error
    return Place(listener, str(address[0]), listener.getsockname()[1])

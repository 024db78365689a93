"""Fetches one document over https from a public address, within limits of size, time and pace.

It speaks no HTTP itself: httpcore does, over connections that are made here, to exactly the IP addresses that were
checked. Proxies, cookies and passwords are never used. It knows no knowledge base and keeps nothing.
"""

import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from retrieval.errors import RetrievalError
from retrieval.reading.documents import MEDIA_TYPES
from retrieval.web import public_hosts as hosts

if TYPE_CHECKING:
    import httpcore2
    import httpx2

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_CHARS = 4_000
_SUFFIXES = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/csv": ".csv",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/x-ms-bmp": ".bmp",
}
# Types that say little: the name in the address says which it is, and the reader looks at the bytes anyway.
_VAGUE = ("text/plain", "application/octet-stream", "binary/octet-stream")
_PASSWORD = re.compile(r"//[^/?#]*@")


class AddressError(RetrievalError):
    """Nothing was added from this address."""

    def __init__(self, address: str, message: str) -> None:
        super().__init__(message)
        self.address = address


class NetworkNotAllowed(AddressError):
    """The user has not allowed the network."""

    def __init__(self, address: str) -> None:
        super().__init__(
            address,
            f"{address!r} is not fetched because the setting 'network' is off; add --allow-network, or set "
            "LORGNETTE_NETWORK=true",
        )


class AddressInvalid(AddressError):
    """It is no https address, or says what no address should."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, f"{address!r} is not fetched: {reason}")
        self.reason = reason


class AddressNotPublic(AddressError):
    """Its host is in this machine or network, or could lead there."""

    def __init__(self, address: str, host: str, ip: str, what: str) -> None:
        super().__init__(
            address,
            f"{address!r} is not fetched: {host!r} is {ip!r}, which is no public address ({what}); save the document "
            "and put the file into the folder",
        )
        self.host, self.ip = host, ip


class AddressUnavailable(AddressError):
    """There was no answer, or one that says no."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(address, f"{address!r} could not be fetched ({cause}); check it in a browser, or try later")
        self.cause = cause


class AddressTooLarge(AddressError):
    """There is more than a file may have."""

    def __init__(self, address: str, limit: int) -> None:
        super().__init__(
            address, f"{address!r} has more than the {limit:,} bytes allowed; raise the setting 'max_file_mib'"
        )
        self.limit = limit


class AddressTooSlow(AddressError):
    """It took too long."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(address, f"{address!r} was given up ({cause}); try later, or save it and add the file")
        self.cause = cause


class AddressUnread(AddressError):
    """It is of a type that is not read."""

    def __init__(self, address: str, what: str) -> None:
        super().__init__(
            address, f"{address!r} is {what}, which is not read; name a page, text, PDF, Word document or picture"
        )
        self.what = what


@dataclass(frozen=True)
class FetchLimits:
    """What one address may cost."""

    bytes: int = 64 * 1024 * 1024
    """Largest document."""
    total_s: float = 120.0
    """From the first name looked up to the last byte, redirects included."""
    silent_s: float = 15.0
    """Longest wait for a connection, or for the next bytes."""
    pace_after_s: float = 20.0
    """From when on the document must come at `bytes_per_s`."""
    bytes_per_s: float = 1_024.0
    """Slowest average."""
    redirects: int = 5
    """How often it may lead elsewhere."""


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def _tls() -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()


@dataclass(frozen=True)
class Internet:
    """The parts of the outside that decide who is asked; tests put a small world of their own here."""

    resolve: Callable[[str, int], list[str]] = _resolve
    """From a host and port to its IP addresses."""
    refusal: Callable[[str], str | None] = hosts.refusal
    """Why an IP address may not be asked; None where it may."""
    tls: Callable[[], ssl.SSLContext] = _tls
    """Whom to believe that a host is who it says."""
    clock: Callable[[], float] = field(default=time.monotonic)
    """In seconds."""


INTERNET = Internet()


@dataclass(frozen=True)
class Fetched:
    """What came back."""

    address: str
    """As it was asked for, without a fragment."""
    final: str
    """Where redirects led to."""
    suffix: str
    """The ending that a file of this type has."""
    size: int
    """Bytes."""


def fetch(
    address: str,
    write: Callable[[bytes], object],
    limits: FetchLimits,
    internet: Internet = INTERNET,
    progress: Callable[[int, int | None], None] | None = None,
) -> Fetched:
    """Fetch a document; Ctrl-C ends it at once.

    Args:
        address: `https://...`.
        write: Given the document piece by piece; what was written counts for nothing if an error is raised.
        limits: What it may cost.
        internet: How the network is reached.
        progress: Told how many bytes came, and of how many, where the server says so.

    Raises:
        AddressError: One child of it for each reason.
    """
    import anyio

    return anyio.run(_Fetch(address, write, limits, internet, progress).run)


def _parse(address: str, base: "httpx2.URL | None" = None) -> "httpx2.URL":
    """Check an address and bring it into the one form that its file is named by."""
    import httpx2

    shown = _PASSWORD.sub("//...@", address)
    if len(address) > _MAX_CHARS:
        raise AddressInvalid(shown[:80] + "...", f"it has more than {_MAX_CHARS:,} characters")
    try:
        url = base.join(address) if base else httpx2.URL(address)
        port = 443 if url.port is None else url.port
    except (httpx2.InvalidURL, ValueError) as error:
        raise AddressInvalid(shown, f"{error}; write it as https://host/path") from None
    if url.userinfo:
        raise AddressInvalid(shown, "it holds a name or password, which would be kept; leave them out")
    if url.scheme != "https":
        whence = f"{str(base)!r} leads to it, and " if base else ""
        raise AddressInvalid(shown, f"{whence}only https is fetched; write it as https://host/path")
    if not url.host or not 0 < port < 65_536:
        raise AddressInvalid(shown, "it names no host and port; write it as https://host/path")
    return httpx2.URL(scheme="https", host=url.host, port=url.port, raw_path=url.raw_path)


class _Fetch:
    def __init__(
        self,
        address: str,
        write: Callable[[bytes], object],
        limits: FetchLimits,
        internet: Internet,
        progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self._first = self._url = _parse(address)
        self._write, self._limits, self._internet = write, limits, internet
        self._progress = progress or (lambda received, total: None)

    async def run(self) -> Fetched:
        import anyio
        import httpcore2

        address = str(self._first)
        try:
            with anyio.fail_after(self._limits.total_s):
                return await self._follow()
        except httpcore2.TimeoutException:
            raise AddressTooSlow(address, f"nothing came for {self._limits.silent_s:g} s") from None
        except TimeoutError:
            raise AddressTooSlow(address, f"it took more than {self._limits.total_s:g} s") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise AddressUnavailable(address, " ".join(str(error).split()) or type(error).__name__) from None

    async def _follow(self) -> Fetched:
        for _ in range(self._limits.redirects + 1):
            async with self._asked() as response:
                headers = {key.lower().decode("latin-1"): v.decode("latin-1") for key, v in response.headers}
                if response.status not in _REDIRECTS:
                    return await self._receive(response, headers)
                if "location" not in headers:
                    raise AddressUnavailable(str(self._url), f"it answered {response.status} without saying where to")
                self._url = _parse(headers["location"], self._url)
        raise AddressUnavailable(str(self._first), f"it led elsewhere more than {self._limits.redirects} times")

    @asynccontextmanager
    async def _asked(self) -> "AsyncIterator[httpcore2.Response]":
        """Ask for the document over a connection of its own: another host's is not checked for this one."""
        import httpcore2

        url = self._url
        limit = self._limits.silent_s
        async with httpcore2.AsyncConnectionPool(
            ssl_context=self._internet.tls(), network_backend=_checked_backend(str(url), self._internet)
        ) as pool:
            target = httpcore2.URL(scheme=b"https", host=url.raw_host, port=url.port, target=url.raw_path)
            headers = [
                (b"Host", url.netloc),
                (b"Accept", b", ".join(kind.encode() for kind in _SUFFIXES) + b", */*;q=0.1"),
                (b"Accept-Encoding", b"identity"),
                (b"User-Agent", b"lorgnette"),
            ]
            timeouts = dict.fromkeys(("connect", "read", "write", "pool"), limit)
            async with pool.stream("GET", target, headers=headers, extensions={"timeout": timeouts}) as response:
                yield response

    async def _receive(self, response: "httpcore2.Response", headers: dict[str, str]) -> Fetched:
        address, limits = str(self._url), self._limits
        if response.status != 200:
            raise AddressUnavailable(address, f"it answered {response.status}")
        suffix = _suffix(address, headers.get("content-type", ""), self._url.path)
        # Unpacked, a few bytes can be gigabytes; who packs though asked not to is not unpacked.
        if (packed := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise AddressUnread(address, f"packed with {packed!r}")
        said = headers.get("content-length", "")
        total = int(said) if said.isascii() and said.isdigit() else None
        if total is not None and total > limits.bytes:
            raise AddressTooLarge(address, limits.bytes)
        received = 0
        began = self._internet.clock()
        async for block in response.aiter_stream():
            received += len(block)
            if received > limits.bytes:
                raise AddressTooLarge(address, limits.bytes)
            took = self._internet.clock() - began
            if took > limits.pace_after_s and received < took * limits.bytes_per_s:
                raise AddressTooSlow(address, f"only {received:,} bytes came in {took:.0f} s")
            self._write(block)
            self._progress(received, total)
        return Fetched(str(self._first), address, suffix, received)


def _suffix(address: str, content_type: str, path: str) -> str:
    """Return the ending for what the server says it is, or the address's own where that says more."""
    kind = content_type.partition(";")[0].strip().lower()
    own = PurePosixPath(unquote(path)).suffix.lower()
    by_type = _SUFFIXES.get(kind)
    if own in MEDIA_TYPES and (kind in _VAGUE or (by_type and MEDIA_TYPES[by_type] == MEDIA_TYPES[own])):
        return own
    if by_type is None:
        raise AddressUnread(address, f"of type {kind!r}" if kind else "of no type that the server names")
    return by_type


def _checked_backend(address: str, internet: Internet) -> "httpcore2.AsyncNetworkBackend":
    """Make connections to the addresses that were checked; the name is looked up once and never again."""
    import anyio
    import httpcore2

    class Backend(httpcore2.AnyIOBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore2.AsyncNetworkStream:
            try:
                ips = await anyio.to_thread.run_sync(internet.resolve, host, port, abandon_on_cancel=True)
            except (OSError, UnicodeError) as error:
                raise AddressUnavailable(address, f"the host {host!r} is not known: {error}") from None
            if not ips:
                raise AddressUnavailable(address, f"the host {host!r} has no address")
            # One bad address among good ones is as bad: which of them is taken is chance.
            for ip in ips:
                if what := internet.refusal(ip):
                    raise AddressNotPublic(address, host, ip, what)
            for ip in ips[:-1]:
                try:
                    return await super().connect_tcp(ip, port, timeout, local_address, socket_options)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                    continue
            return await super().connect_tcp(ips[-1], port, timeout, local_address, socket_options)

    return Backend()

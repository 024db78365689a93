"""Fetching from a real TLS server; what is refused must not reach it."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from retrieval.web import public_hosts as hosts
from retrieval.web.fetch import (
    AddressInvalid,
    AddressNotPublic,
    AddressTooLarge,
    AddressTooSlow,
    AddressUnavailable,
    AddressUnread,
    Fetched,
    FetchLimits,
    fetch,
)
from tests.retrieval.conftest import Web


def got(web: Web, address: str, **options: Any) -> tuple[bytes, Fetched]:
    """Fetch with the server's own internet; gives the bytes and what is said of them."""
    blocks: list[bytes] = []
    asked: dict[str, Any] = {"limits": FetchLimits(), "internet": web.internet(), **options}
    fetched = fetch(address, blocks.append, **asked)
    return b"".join(blocks), fetched


def nothing_may_come(block: bytes) -> None:
    pytest.fail(f"{block!r} was taken")


def test_a_document_comes_from_the_address_that_was_checked(web: Web) -> None:
    told = []
    address = web.put("/a%20b?c=d", b"hello")
    body, fetched = got(web, f"{address}#part", progress=lambda *news: told.append(news))
    assert (body, fetched.address, fetched.final, fetched.suffix, fetched.size) == (
        b"hello",
        address,
        address,
        ".txt",
        5,
    )
    # The name exists nowhere but in our resolver, which was asked once: nothing else can have been connected to.
    assert (web.asked, web.names, web.connections) == (["a.test"], ["a.test"], 1)
    (request,) = web.requests
    assert request[0] == "GET /a%20b?c=d HTTP/1.1"
    assert {f"Host: a.test:{web.port}", "Accept-Encoding: identity"} <= set(request)
    assert not [line for line in request if line.lower().startswith(("cookie", "authorization", "referer"))]
    assert told == [(5, 5)]


@pytest.mark.parametrize(
    "places",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
    ],
)
def test_a_host_with_any_address_near_is_never_reached(web: Web, places: list[str]) -> None:
    web.put("/", b"secret")
    internet = web.internet({"a.test": places}, hosts.refusal)
    with pytest.raises(AddressNotPublic, match=r"'a\.test' is '.*127\.0\.0\.1'.*this machine"):
        got(web, web.address("/"), internet=internet)
    assert (web.connections, web.requests) == (0, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_this_machine_by_any_spelling_is_never_reached(web: Web, host: str) -> None:
    with pytest.raises((AddressNotPublic, AddressUnavailable)):
        fetch(f"https://{host}:{web.port}/", nothing_may_come, FetchLimits())
    assert web.connections == 0


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(web: Web) -> None:
    answers = iter([["127.0.0.1"], ["::ffff:127.0.0.1"]])
    internet = replace(web.internet(), resolve=lambda host, port: next(answers))
    assert got(web, web.put("/", b"once"), internet=internet)[0] == b"once"
    assert next(answers) == ["::ffff:127.0.0.1"]


def test_the_next_address_is_tried_where_one_does_not_answer(web: Web) -> None:
    web.put("/", b"hello")
    anywhere = web.internet({"a.test": ["127.0.0.2", "127.0.0.1"], "b.test": ["127.0.0.2"]}, lambda ip: None)
    assert got(web, web.address("/"), internet=anywhere)[0] == b"hello"
    with pytest.raises(AddressUnavailable):
        got(web, web.address("/", "b.test"), internet=anywhere)


def test_each_redirect_is_checked_anew(web: Web) -> None:
    web.put("/there", b"hello")
    address = web.lead("/here", web.address("/there", "b.test"))
    body, fetched = got(web, address)
    assert (body, fetched.address, fetched.final) == (b"hello", address, web.address("/there", "b.test"))
    assert web.asked == ["a.test", "b.test"] == web.names
    web.asked.clear()
    got(web, web.lead("/here", "there"))
    assert web.asked == ["a.test", "a.test"]


def test_a_redirect_to_something_near_is_not_followed(web: Web) -> None:
    web.put("/there", b"secret")
    address = web.lead("/here", web.address("/there", "b.test"))
    # It would be reached by this address as well.
    with pytest.raises(AddressNotPublic, match=r"'b\.test' is '::ffff:127\.0\.0\.1'"):
        got(web, address, internet=web.internet({"b.test": ["::ffff:127.0.0.1"]}))
    assert [request[0] for request in web.requests] == ["GET /here HTTP/1.1"] and web.connections == 1


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("http://a.test/", "leads to it, and only https"),
        ("file:///etc/passwd", "only https"),
        ("https://me:secret@a.test/", "holds a name or password"),
    ],
)
def test_a_redirect_to_what_could_not_be_asked_for_is_not_followed(web: Web, to: str, reason: str) -> None:
    with pytest.raises(AddressInvalid, match=reason) as raised:
        got(web, web.lead("/", to))
    assert "secret" not in str(raised.value)
    assert web.connections == 1


def test_redirects_end_after_five(web: Web) -> None:
    web.put("/0", b"hello")
    for n in range(1, 7):
        web.lead(f"/{n}", f"/{n - 1}")
    assert got(web, web.address("/5"))[0] == b"hello"
    web.requests.clear()
    with pytest.raises(AddressUnavailable, match="more than 5 times"):
        got(web, web.address("/6"))
    assert len(web.requests) == 6


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://a.test/", "only https"),
        ("ftp://a.test/", "only https"),
        ("a.test/x", "only https"),
        ("https:///x", "no host"),
        ("https://a.test:0/", "no host and port"),
        ("https://a.test:99999/", "no host and port"),
        ("https://me:secret@a.test/", "holds a name or password"),
        ("https://secret@a.test/", "holds a name or password"),
        ("https://a\n.test/", "non-printable"),
        ("https://a.test/" + 4000 * "x", "more than 4,000 characters"),
    ],
)
def test_an_address_that_should_not_be_one_asks_nobody(web: Web, address: str, reason: str) -> None:
    with pytest.raises(AddressInvalid, match=reason) as raised:
        got(web, address)
    assert "secret" not in str(raised.value)
    assert web.asked == [] and web.connections == 0


def test_a_host_that_is_not_who_it_says_is_told_nothing(web: Web) -> None:
    web.put("/", b"hello")
    with pytest.raises(AddressUnavailable, match="certificate"):
        got(web, web.address("/", "c.test"))
    assert web.requests == []


def test_a_document_that_says_it_is_too_large_is_not_waited_for(web: Web) -> None:
    def nothing_yet() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 101\r\n\r\n"
        web.over.wait()

    web.pages["/"] = nothing_yet()
    with pytest.raises(AddressTooLarge, match="100 bytes"):
        fetch(web.address("/"), nothing_may_come, FetchLimits(bytes=100, silent_s=300), web.internet())


def test_a_document_that_does_not_say_so_is_cut_off(web: Web) -> None:
    chunk = b"40\r\n" + 0x40 * b"x" + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"

    def endless() -> Iterator[bytes]:
        yield head
        while True:
            yield chunk

    web.pages["/"] = endless()
    blocks: list[bytes] = []
    with pytest.raises(AddressTooLarge):
        fetch(web.address("/"), blocks.append, FetchLimits(bytes=1000), web.internet())
    assert sum(map(len, blocks)) <= 1000


def test_no_more_is_taken_than_was_said(web: Web) -> None:
    web.pages["/"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello, and more"
    assert got(web, web.address("/"), limits=FetchLimits(bytes=5))[0] == b"hello"


def test_a_document_that_breaks_off_is_none(web: Web) -> None:
    web.pages["/"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf"
    with pytest.raises(AddressUnavailable):
        got(web, web.address("/"))


def test_what_is_packed_is_not_unpacked(web: Web) -> None:
    address = web.put("/", b"\x1f\x8b", "text/plain", "Content-Encoding: gzip")
    with pytest.raises(AddressUnread, match="packed with 'gzip'"):
        fetch(address, nothing_may_come, FetchLimits(), web.internet())


@pytest.mark.parametrize(
    ("path", "kind", "suffix"),
    [
        ("/", "text/html; charset=gbk", ".html"),
        ("/a.htm", "text/html", ".htm"),
        ("/a.php", "text/html", ".html"),
        ("/a.md", "text/plain", ".md"),
        ("/a.csv", "application/octet-stream", ".csv"),
        ("/a.exe", "text/plain", ".txt"),
        ("/a.txt", "application/pdf", ".pdf"),
        ("/a.jpeg", "image/jpeg", ".jpeg"),
        ("/a.png", "image/webp", ".png"),
    ],
)
def test_a_file_ends_as_what_it_is(web: Web, path: str, kind: str, suffix: str) -> None:
    assert got(web, web.put(path, b"x", kind))[1].suffix == suffix


@pytest.mark.parametrize(
    ("path", "kind"), [("/a.zip", "application/zip"), ("/a", "application/octet-stream"), ("/a.svg", "image/svg+xml")]
)
def test_what_is_not_read_is_not_fetched(web: Web, path: str, kind: str) -> None:
    with pytest.raises(AddressUnread, match=kind.replace("+", r"\+")):
        fetch(web.put(path, b"x", kind), nothing_may_come, FetchLimits(), web.internet())


@pytest.mark.parametrize("status", ["404 Not Found", "206 Partial Content", "500 Oops"])
def test_an_answer_that_says_no_is_no_document(web: Web, status: str) -> None:
    with pytest.raises(AddressUnavailable, match=f"it answered {status[:3]}"):
        got(web, web.put("/", b"sorry", status=status))


def test_silence_is_given_up(web: Web) -> None:
    def silent() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
        web.over.wait()

    web.pages["/"] = silent()
    with pytest.raises(AddressTooSlow, match="nothing came for"):
        got(web, web.address("/"), limits=FetchLimits(silent_s=0.2))


def test_the_whole_has_an_end_even_before_the_first_line(web: Web) -> None:
    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while not web.over.wait(0.02):
            yield b"X: y\r\n"

    web.pages["/"] = drip()
    with pytest.raises(AddressTooSlow, match="more than"):
        got(web, web.address("/"), limits=FetchLimits(total_s=0.5))


def test_a_document_that_comes_in_drops_is_given_up(web: Web) -> None:
    moments = iter([0.0, 19.0, 21.0])
    internet = replace(web.internet(), clock=lambda: next(moments))

    def drops() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"
        yield b"one"
        received.wait()
        yield b"two"
        web.over.wait()

    received = threading.Event()
    web.pages["/"] = drops()
    with pytest.raises(AddressTooSlow, match="only 6 bytes came in 21 s"):
        fetch(web.address("/"), lambda block: received.set(), FetchLimits(), internet)


def test_a_proxy_of_the_environment_is_not_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert got(web, web.put("/", b"hello"))[0] == b"hello"
        with pytest.raises(BlockingIOError):
            proxy.accept()

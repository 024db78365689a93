"""Who reaches the page: its secret, tickets that are good once, the server's own guards, and nothing without them."""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner
from starlette.types import Receive, Scope, Send

from lorgnette.settings import Settings
from mcp_server.http_server import HttpServer
from mcp_server.transport.guard import Beside
from page.opening.address import PREFIX, Address, Entrance
from page.opening.running import advertise_page, find_page, ticket_of
from page.uploads import Uploads, safe_name

WAIT_S = 300


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand for the page: says hello over HTTP, and takes every socket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def life() -> AsyncIterator[None]:
    yield


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    return Settings(roots=(tmp_path,), token="t0ken")


@pytest.fixture
def address() -> Address:
    return Address()


@pytest.fixture
def server(settings: Settings, address: Address) -> Iterator[HttpServer]:
    beside = Beside(PREFIX, Entrance(hello, address), life)
    opens: Callable[..., Any] = lambda *_: None  # noqa: E731 - nobody asks
    server, ready = HttpServer(settings, "127.0.0.1", 0, opens, beside=lambda *_: beside), threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
    thread.start()
    assert ready.wait(WAIT_S)
    yield server
    server.stop()
    thread.join()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=WAIT_S) as client:
        yield client


def test_the_secret_opens_the_page_without_a_token_and_nothing_else(
    server: HttpServer, address: Address, http: httpx2.Client
) -> None:
    reply = http.get(f"{server.url}{address.path}/")
    assert (reply.status_code, reply.text) == (200, "hello")
    assert reply.headers["referrer-policy"] == "no-referrer" and "img-src" not in reply.headers
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert http.get(f"{server.url}{PREFIX}/another-secret/").status_code == 404
    assert http.get(f"{server.url}{address.path}x/").status_code == 404
    assert http.post(f"{server.url}/mcp", json={}).status_code == 401  # the token is asked for as before


@pytest.mark.parametrize(
    ("header", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)]
)
def test_another_host_or_origin_does_not_reach_the_page_even_with_its_secret(
    header: dict[str, str], status: int, server: HttpServer, address: Address, http: httpx2.Client
) -> None:
    assert http.get(f"{server.url}{address.path}/", headers=header).status_code == status


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 101), ({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403),
     ({"path": "/page/x/ws"}, 403), ({"path": "/mcp"}, 403)],
)  # fmt: skip
def test_sockets_pass_by_the_same_checks(
    changed: dict[str, str], status: int, server: HttpServer, address: Address
) -> None:
    port = int(server.url.rpartition(":")[2])
    headers = {"Host": f"127.0.0.1:{port}", "Origin": server.url, **changed}
    path = headers.pop("path", f"{address.path}/ws")
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(100).split()[1] == str(status).encode()


def test_a_ticket_is_good_for_one_visit(server: HttpServer, address: Address, http: httpx2.Client) -> None:
    ticket = f"{server.url}{address.ticket()}"
    first = http.get(ticket)
    assert first.status_code == 303 and first.headers["location"] == f"{address.path}/"
    assert http.get(ticket).status_code == 410


def test_a_running_page_is_found_by_the_same_settings_alone_and_gives_a_ticket(
    server: HttpServer, settings: Settings, address: Address, http: httpx2.Client, tmp_path: Path
) -> None:
    page = f"{server.url}{address.path}/"
    with advertise_page(server.url, server.key, page, settings):
        found = find_page(settings)
        assert found is not None and found.page == page
        assert find_page(settings.model_copy(update={"roots": (tmp_path / "other",)})) is None
        ticket = ticket_of(found)
        assert ticket is not None and http.get(ticket).headers["location"] == f"{address.path}/"
    assert find_page(settings) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("<img src=x onerror=alert(1)>.png", "_img src=x onerror=alert(1)_.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("", "file"),
        ("...", "file"),
        ("图" * 100 + ".jpeg", "图" * 40 + ".jpeg"),
        ("a#xywh=1,2,3,4.png", "a_xywh=1,2,3,4.png"),
    ],
)
def test_a_file_that_is_given_gets_a_harmless_name(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_files_that_no_session_refers_to_go_after_a_day(tmp_path: Path) -> None:
    import os

    uploads = Uploads(tmp_path / "uploads")
    used, old, new = (uploads.place_for(name) for name in ("used.png", "old.png", "new.png"))
    for file in (used, old, new):
        file.write_bytes(b"x")
    for file in (used, old):
        os.utime(file.parent, (1, 1))
    uploads.remove_left([str(used)])
    assert used.exists() and new.exists() and not old.exists()


def test_without_nicegui_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from cli.main import app

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["open"])
    assert result.exit_code == 1 and "pip install 'lorgnette[page]'" in result.stderr


def test_help_says_what_it_opens() -> None:
    from cli.main import app

    result = CliRunner().invoke(app, ["open", "--help"])
    assert result.exit_code == 0
    for word in ("--window", "--no-browser", "--port", "/mcp", "lorgnette[page]"):
        assert word in result.stdout

"""The server over HTTP: who may pass, what becomes of calls whose client or server leaves, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from pydantic import SecretStr

from graph.answer import Answer
from lorgnette.settings import Settings
from mcp_server.transport.bind import HostUnavailable, PortInUse, Unprotected, listen
from model.worker import asking

WAIT_S = 300
TOKEN = "a-token-of-the-user"
ACCEPT = {"Accept": "application/json, text/event-stream"}

Serve = Callable[..., Any]


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=WAIT_S) as client:
        yield client


class Legacy:
    """A client of the older protocol that can vanish."""

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http, self._url, self._headers = http, f"{url}/mcp", dict(ACCEPT)
        client = {"name": "old", "version": "0"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        reply = http.post(self._url, headers=self._headers, json=call(1, "initialize", **params))
        self._headers |= {"mcp-session-id": reply.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        http.post(self._url, headers=self._headers, json={"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self) -> Any:
        """Begin a call; its stream is to be entered, and to be left where the client vanishes."""
        body = call(2, "tools/call", name="ask_image", arguments={"question": "Which?"}, _meta={"progressToken": "p"})
        return self._http.stream("POST", self._url, headers=self._headers, json=body)


def call(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_question_is_answered_over_http(
    mode: Any, serve: Serve, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    server = serve(settings, opens(fake_agent(answer)))
    async with Client(f"{server.url}/mcp", mode=mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"ask_image", "search_kb"}
        result = await client.call_tool("ask_image", {"question": "How many?"})
    assert result.structured_content is not None and result.structured_content["answer"] == "Three circles [1]."


@pytest.mark.parametrize("path", ["/mcp", "/v1/models", "/v1/chat/completions", "/nowhere"])
def test_another_host_or_origin_is_refused_on_every_path(
    path: str, serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    server = serve(settings, opens(fake_agent(answer)))
    assert http.post(server.url + path, headers={"Host": "evil.example"}, json={}).status_code == 421
    assert http.post(server.url + path, headers={"Origin": "http://evil.example"}, json={}).status_code == 403
    assert http.get(f"{server.url}/v1/models", headers={"Origin": server.url}).status_code == 200


def test_an_allowed_host_may_name_the_server(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    named = settings.model_copy(update={"allowed_hosts": ("lorgnette.example",)})
    server = serve(named, opens(fake_agent(answer)))
    for host in ("lorgnette.example", "lorgnette.example:443", "127.0.0.1:1", "localhost"):
        assert http.get(f"{server.url}/v1/models", headers={"Host": host}).status_code == 200
    assert http.get(f"{server.url}/v1/models", headers={"Host": "lorgnette.example.evil"}).status_code == 421


def test_a_token_is_asked_for_where_one_is_set(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    server = serve(settings.model_copy(update={"token": SecretStr(TOKEN)}), opens(fake_agent(answer)))
    for path in ("/mcp", "/v1/models", "/v1/lorgnette/model"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            refused = http.get(server.url + path, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in refused.text
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    assert http.get(f"{server.url}/v1/models", headers=allowed).status_code == 200
    listed = http.post(f"{server.url}/mcp", headers={**allowed, **ACCEPT}, json=call(1, "nonsense"))
    assert listed.status_code != 401


def test_the_key_of_this_run_opens_the_endpoint_and_nothing_else(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    server = serve(settings.model_copy(update={"token": SecretStr(TOKEN)}), opens(fake_agent(answer)))
    bearer = {"Authorization": f"Bearer {server.key}"}
    assert http.get(f"{server.url}/v1/models", headers=bearer).status_code == 200
    assert http.post(f"{server.url}/mcp", headers=bearer, json={}).status_code == 401
    assert http.get(f"{server.url}/v1/lorgnette/proof?nonce=1").status_code == 200


@pytest.mark.parametrize(
    ("token", "hosts", "named"),
    [
        (None, (), "LORGNETTE_TOKEN and allowed_hosts, or"),
        (SecretStr(TOKEN), (), "set allowed_hosts, or"),
        (None, ("h",), "set LORGNETTE_TOKEN, or"),
    ],
)
def test_other_machines_are_served_with_a_token_and_named_hosts_only(
    token: SecretStr | None, hosts: tuple[str, ...], named: str, settings: Settings
) -> None:
    with pytest.raises(Unprotected, match=named) as caught:
        listen(settings.model_copy(update={"token": token, "allowed_hosts": hosts}), "0.0.0.0", 0)
    assert "LORGNETTE_TOKEN" in str(caught.value) and "allowed_hosts" in str(caught.value)


def test_with_both_the_server_listens_on_every_address(settings: Settings) -> None:
    protected = settings.model_copy(update={"token": SecretStr(TOKEN), "allowed_hosts": ("h",)})
    place = listen(protected, "0.0.0.0", 0)
    place.listener.close()
    assert place.url == f"http://127.0.0.1:{place.port}"


def test_a_port_in_use_and_a_host_that_is_none_are_said_in_one_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} .* choose another with --port"):
            listen(settings, "127.0.0.1", port)
    with pytest.raises(HostUnavailable, match=r"no\.such\.host\.invalid"):
        listen(settings, "no.such.host.invalid", 0)


def test_small_messages_are_sent_at_once(settings: Settings) -> None:
    place = listen(settings, "127.0.0.1", 0)
    place.listener.close()
    assert place.listener.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on


def test_a_client_of_the_older_protocol_that_vanishes_frees_the_model(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    with Legacy(http, serve(settings, opens(agent)).url).ask() as stream:
        lines = stream.iter_lines()  # kept: whoever lets go of it has left, perhaps before the model was asked
        first = next(lines)
        assert first
        assert agent.started.wait(WAIT_S), f"the model was never asked; the server began with {first!r}"
        assert not agent.cancelled.is_set()
    assert agent.cancelled.wait(WAIT_S), "the model was asked and never told that its client had gone"


@pytest.mark.anyio
async def test_a_client_that_gives_up_frees_the_model(
    serve: Serve, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    async with Client(f"{serve(settings, opens(agent)).url}/mcp") as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "ask_image", {"question": "Which?"})
        assert await anyio.to_thread.run_sync(agent.started.wait, WAIT_S)
        group.cancel_scope.cancel()
    assert agent.cancelled.wait(WAIT_S)


def test_stopping_ends_the_calls_in_flight(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    server = serve(settings, opens(agent))
    with Legacy(http, server.url).ask() as stream:
        assert agent.started.wait(WAIT_S)
        server.stop()
        assert not any("Three circles" in line for line in stream.iter_lines())  # and the stream has an end
    assert agent.cancelled.wait(WAIT_S)


@pytest.mark.anyio
async def test_the_model_is_told_whose_question_it_gets(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    class Asked(fake_agent):
        clients: list[str] = []  # noqa: RUF012

        def answer(self, *args: Any, **others: Any) -> Any:
            self.clients.append(asking.get())
            return super().answer(*args, **others)

    agent = Asked(answer)
    server = serve(settings, opens(agent))
    for _ in range(2):
        async with Client(f"{server.url}/mcp") as client:
            await client.call_tool("ask_image", {"question": "Which?"})
    async with Client(f"{server.url}/mcp", mode="legacy") as client:
        await client.call_tool("ask_image", {"question": "Which?"})
    first, second, legacy = agent.clients
    assert first == second == "127.0.0.1 mcp"
    assert legacy.startswith("session ")


class Served:
    """`lorgnette serve --http` in a process of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serve", "--http", "--port", "0", *arguments],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, "LORGNETTE_HOME": str(home)},
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        self.url = self.said.partition("listens on ")[2].partition("/mcp")[0]

    def end(self, number: int) -> tuple[int, str]:
        """Send the signal; returns the exit code and what else was said."""
        self.process.send_signal(number)
        try:
            _, said = self.process.communicate(timeout=WAIT_S)
        finally:
            self.process.kill()
        return self.process.returncode, said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(("number", "code", "said"), [(signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "Stopped.\n")])
def test_a_signal_ends_the_server_with_nothing_left_behind(number: int, code: int, said: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    served = Served(home)
    with httpx2.Client(trust_env=False, timeout=WAIT_S) as http:
        files = list((home / "servers").iterdir())
        assert len(files) == 1
        if os.name == "posix":
            assert files[0].stat().st_mode & 0o777 == 0o600
        with Legacy(http, served.url).ask() as stream:
            lines = stream.iter_lines()
            assert next(lines)  # it waits for the model
            assert served.end(number) == (code, said)
    assert list((home / "servers").iterdir()) == []


def test_bad_usage_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from cli.main import app

    refused = CliRunner().invoke(app, ["serve", "--http", "--host", "0.0.0.0"])
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Other machines can reach '0.0.0.0'")
    assert CliRunner().invoke(app, ["serve", "--port", "1"]).exit_code == 2


def test_json_is_what_every_refusal_is_made_of(
    serve: Serve, http: httpx2.Client, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    server = serve(settings.model_copy(update={"token": SecretStr(TOKEN)}), opens(fake_agent(answer)))
    refused = json.loads(http.post(f"{server.url}/mcp", json={}).text)
    assert refused["error"]["message"].endswith("'Authorization: Bearer TOKEN'.")

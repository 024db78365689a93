"""Who hears of a change, in both protocol eras: files that change on the disk, questions that are answered."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from mcp import Client
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import (
    EmptyResult,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.state.notifications import MAX_CLIENTS, MAX_SESSIONS, RecentSessions, ResourceNotifier

pytestmark = pytest.mark.anyio

LAMP, FAN = "kb://document/lamp.md", "kb://document/fan.md"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "kb").mkdir()
    for name in ("lamp", "fan"):
        (tmp_path / "kb" / f"{name}.md").write_text(f"The {name} is on.", "utf-8")
    return Settings(kb=tmp_path / "kb", embedder="no-such-model", reranker="none", roots=(tmp_path,))


def never(*_: Any) -> Any:
    raise ValueError("this test has no vision model")


async def indexed(client: Any, uri: str) -> None:
    await client.list_tools()
    with anyio.fail_after(300):
        while True:
            try:
                await client.read_resource(uri)
                return
            except MCPError:
                await anyio.sleep(0.05)


async def subscribe(client: Any, uri: Any) -> None:
    """Subscribe as older clients do; the client's own method for it is deprecated."""
    request = SubscribeRequest(params=SubscribeRequestParams.model_construct(uri=uri))
    await client.session.send_request(request, EmptyResult)


class Heard:
    """What an older client hears."""

    def __init__(self) -> None:
        self.updated: list[str] = []
        self.lists = 0

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.updated.append(message.params.uri)
        elif isinstance(message, ResourceListChangedNotification):
            self.lists += 1

    async def until(self, uri: str) -> None:
        with anyio.fail_after(300):
            while uri not in self.updated:
                await anyio.sleep(0.05)


async def test_an_older_client_hears_of_the_documents_that_it_subscribed_to(settings: Settings) -> None:
    heard = Heard()
    async with Client(build_server(settings, never), mode="legacy", message_handler=heard) as client:
        promised = client.server_capabilities.resources
        assert promised is not None and promised.subscribe is True and promised.list_changed is True
        await indexed(client, LAMP)
        await indexed(client, FAN)
        for uri in (LAMP, FAN):
            await subscribe(client, uri)
        (settings.kb / "lamp.md").write_text("The lamp is off.", "utf-8")
        await heard.until(LAMP)
        assert heard.lists > 0
        await client.session.send_request(UnsubscribeRequest(params=UnsubscribeRequestParams(uri=LAMP)), EmptyResult)
        (settings.kb / "lamp.md").write_text("The lamp is broken.", "utf-8")
        (settings.kb / "fan.md").unlink()
        await heard.until(FAN)
    assert heard.updated == [LAMP, FAN]


async def test_a_client_of_2026_hears_of_the_documents_that_it_listens_to(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        await indexed(client, LAMP)
        await indexed(client, FAN)
        async with client.listen(resources_list_changed=True, resource_subscriptions=[LAMP, FAN]) as events:
            (settings.kb / "lamp.md").write_text("The lamp is off.", "utf-8")
            seen = []
            with anyio.fail_after(300):
                async for event in events:
                    seen.append(event)
                    if isinstance(event, ResourceUpdated):
                        break
    assert ResourceUpdated(LAMP) in seen and ResourceUpdated(FAN) not in seen


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_answered_question_is_news_of_its_session(
    mode: str, settings: Settings, answer: Any, fake_agent: Any
) -> None:
    heard = Heard()
    server = build_server(settings, lambda *_: fake_agent(answer))
    async with Client(server, mode=mode, message_handler=heard) as client:
        if mode == "legacy":
            await subscribe(client, "session://s-1/report")
            await client.call_tool("ask_image", {"question": "Which?"})
            await heard.until("session://s-1/report")
            assert heard.lists > 0 and set(heard.updated) == {"session://s-1/report"}
            return
        async with client.listen(resource_subscriptions=["session://s-1"]) as events:
            await client.call_tool("ask_image", {"question": "Which?"})
            with anyio.fail_after(300):
                assert await anext(aiter(events)) == ResourceUpdated("session://s-1")


@pytest.mark.parametrize("uri", [None, "", "x" * 5000])
async def test_a_subscription_to_nothing_is_refused(uri: Any, settings: Settings) -> None:
    async with Client(build_server(settings, never), mode="legacy") as client:
        with pytest.raises(MCPError) as caught:
            await subscribe(client, uri)
    assert caught.value.code == -32602


class Listener:
    """A session that takes its news at once, or never."""

    def __init__(self, reads: bool = True) -> None:
        self.reads, self.heard = reads, list[str]()

    async def send_resource_list_changed(self) -> None:
        await self._take("list")

    async def send_resource_updated(self, uri: str) -> None:
        await self._take(uri)

    async def _take(self, what: str) -> None:
        if not self.reads:
            await asyncio.Event().wait()
        self.heard.append(what)


@asynccontextmanager
async def news_of(stamps: dict[str, str]) -> AsyncIterator[ResourceNotifier]:
    news = ResourceNotifier(InMemorySubscriptionBus(), RecentSessions(), stamps.get)
    try:
        yield news
    finally:
        await news.close()


async def test_a_client_that_does_not_read_delays_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.state.notifications.SEND_S", 0.01)
    deaf, other = Listener(reads=False), Listener()
    async with news_of({}) as news:
        news.joined("deaf", deaf)  # type: ignore[arg-type]
        news.joined("other", other)  # type: ignore[arg-type]
        await anyio.to_thread.run_sync(news.knowledge_changed, 1)
        with anyio.fail_after(300):
            while not other.heard:
                await anyio.sleep(0.01)
    assert (deaf.heard, other.heard) == ([], ["list"])


async def test_a_sync_that_changed_nothing_is_no_news_and_an_unchanged_document_neither() -> None:
    stamps = {LAMP: "1", FAN: "1"}
    client = Listener()
    async with news_of(stamps) as news:
        for uri in (LAMP, FAN):
            news.note([uri])
            assert news.subscribe("one", client, uri)  # type: ignore[arg-type]
        stamps[LAMP] = "2"
        news.knowledge_changed(5)
        news.knowledge_changed(5)
        with anyio.fail_after(300):
            while LAMP not in client.heard:
                await anyio.sleep(0.01)
    assert client.heard == ["list", LAMP]


async def test_clients_that_came_and_went_are_forgotten_in_the_end() -> None:
    first, last = Listener(), Listener()
    async with news_of({}) as news:
        news.joined("first", first)  # type: ignore[arg-type]
        for number in range(MAX_CLIENTS):
            news.joined(str(number), last)  # type: ignore[arg-type]
        news.knowledge_changed(1)
        with anyio.fail_after(300):
            while len(last.heard) < MAX_CLIENTS:
                await anyio.sleep(0.01)
    assert first.heard == []


def test_only_the_latest_sessions_are_listed() -> None:
    recent = RecentSessions()
    assert [recent.add(f"s{number}") for number in range(MAX_SESSIONS + 1)] == [True] * (MAX_SESSIONS + 1)
    assert not recent.add("s1")
    assert recent.names()[:2] == ["s1", f"s{MAX_SESSIONS}"] and "s0" not in recent.names()


async def test_over_http_each_older_client_hears_of_its_own_subscriptions(settings: Settings) -> None:
    app = build_server(settings, never).streamable_http_app()
    door = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    lamp, fan = Heard(), Heard()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        serving = threading.Thread(target=door.run, kwargs={"sockets": [listener]})
        serving.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            async with (
                Client(url, mode="legacy", message_handler=lamp) as first,
                Client(url, mode="legacy", message_handler=fan) as second,
            ):
                await indexed(first, LAMP)
                await indexed(second, FAN)
                await subscribe(first, LAMP)
                await subscribe(second, FAN)
                (settings.kb / "lamp.md").write_text("The lamp is off.", "utf-8")
                await lamp.until(LAMP)
                (settings.kb / "fan.md").write_text("The fan is off.", "utf-8")
                await fan.until(FAN)
        finally:
            door.should_exit = True
            await anyio.to_thread.run_sync(serving.join)
    assert (lamp.updated, fan.updated) == ([LAMP], [FAN])

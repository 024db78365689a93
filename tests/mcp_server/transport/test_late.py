"""An application that is put together behind what comes first, or for the first who asks."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mcp_server.transport.late import Built, LateApp

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Put:
    """Counts how often it puts an application together, and what becomes of its life."""

    def __init__(self, fails: bool = False) -> None:
        self.times, self.lived, self.fails, self.go = 0, list[str](), fails, threading.Event()

    def build(self) -> Built:
        self.times += 1
        if self.fails:
            raise RuntimeError("no room")

        async def hello(_: Request) -> PlainTextResponse:
            return PlainTextResponse("hello")

        @asynccontextmanager
        async def life(_: Starlette) -> AsyncIterator[None]:
            self.lived.append("begun")
            yield
            self.lived.append("ended")

        app = Starlette(routes=[Route("/", hello)], lifespan=life)
        return Built(app, app)

    def late(self) -> LateApp:
        return LateApp(self.build, self.wait, self.go.set)

    def wait(self) -> None:
        self.go.wait()


async def asked(late: LateApp) -> str:
    transport = httpx2.ASGITransport(late, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
        reply = await client.get("/")
        return f"{reply.status_code} {reply.text}"


async def test_the_first_who_asks_has_it_put_together_once_and_it_ends_with_the_server() -> None:
    put = Put()
    late = put.late()
    async with late.life():
        assert put.times == 0
        assert await asked(late) == "200 hello" and await asked(late) == "200 hello"
        assert (put.times, put.lived, put.go.is_set()) == (1, ["begun"], False)
    assert put.lived == ["begun", "ended"] and put.go.is_set(), "who waits is let go"


async def test_it_is_put_together_once_what_comes_first_is_there() -> None:
    put = Put()
    late = put.late()
    async with late.life():
        put.go.set()
        while not put.lived:
            await anyio.sleep(0.01)
    assert (put.times, put.lived) == (1, ["begun", "ended"])


async def test_nothing_is_put_together_for_a_server_that_ends_before() -> None:
    put = Put()
    async with put.late().life():
        pass
    assert put.times == 0


async def test_where_it_cannot_be_put_together_who_asks_hears_of_it_and_the_rest_goes_on() -> None:
    put = Put(fails=True)
    late = put.late()
    async with late.life():
        assert (await asked(late)).startswith("500")
        assert (await asked(late)).startswith("500")
    assert put.times == 1

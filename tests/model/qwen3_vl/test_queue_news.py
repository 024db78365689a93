"""What a caller hears of its place in the queue."""

import threading
from typing import Any

import anyio
import pytest
from langchain_core.messages import HumanMessage

from model.qwen3_vl.chat import ChatQwen3VL


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def question(words: str) -> list[Any]:
    return [HumanMessage(words)]


class Heard:
    """Positions as they are told; `waits` is set with the first."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.waits = threading.Event()

    def __call__(self, position: int) -> None:
        self.positions.append(position)
        self.waits.set()


def test_a_question_that_waits_hears_how_many_come_first_and_when_its_turn_has_come(chat: ChatQwen3VL) -> None:
    release, heard = threading.Event(), Heard()
    chat._worker.submit(lambda: release.wait(300))
    asking = threading.Thread(target=lambda: chat.invoke(question("Hello"), on_queue=heard, max_new_tokens=2))
    asking.start()
    assert heard.waits.wait(300)
    release.set()
    asking.join(300)
    assert heard.positions in ([1, 0], [1])  # one look may miss that its turn has come


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["stream", "ainvoke", "astream"])
async def test_every_way_of_asking_hears_it(way: str, chat: ChatQwen3VL) -> None:
    release, heard = threading.Event(), Heard()
    chat._worker.submit(lambda: release.wait(300))
    options: dict[str, Any] = {"on_queue": heard, "max_new_tokens": 2}

    async def ask() -> None:
        if way == "stream":
            await anyio.to_thread.run_sync(lambda: list(chat.stream(question("Hello"), **options)))
        elif way == "ainvoke":
            await chat.ainvoke(question("Hello"), **options)
        else:
            assert [chunk async for chunk in chat.astream(question("Hello"), **options)]

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        assert await anyio.to_thread.run_sync(heard.waits.wait, 300)
        release.set()
    assert heard.positions[0] == 1


def test_a_question_that_need_not_wait_hears_nothing(chat: ChatQwen3VL) -> None:
    heard = Heard()
    chat.invoke(question("Hello"), on_queue=heard, max_new_tokens=2)
    assert heard.positions == []

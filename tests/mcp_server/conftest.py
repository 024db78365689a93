"""A fake agent whose every answer can be written down by hand, and settings that see nothing of this machine."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp.types import TextContent

from graph.answer import Answer, Box, Citation, Event, ModelResult, Plan, ReviewResult, Usage
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from lorgnette.settings import Settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LORGNETTE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(roots=(tmp_path,), time_budget_s=3000.0)  # a busy machine is no reason to end an answer


@pytest.fixture
def answer() -> Answer:
    return Answer(
        answer="Three circles [1].",
        citations=[Citation(id="c1", source="shapes.md", page=2, start=10, end=14, quote="A circle is round.")],
        boxes=[Box(label="circle", image=0, x1=1, y1=2, x2=30, y2=40)],
        plan=Plan(task="answer", steps=["count the circles"], needs_knowledge=True, queries=["circle"]),
        review=ReviewResult(verdict="PASS", feedback="three", rewrites=1),
        degraded=["search: lexical only"],
        model=ModelResult(name="fake", adapter="node_adapter", quantization="none"),
        usage=Usage(prefill_tokens=11, cached_tokens=22, new_tokens=33, seconds=0.5),
        session_id="s-1",
        truncated=False,
    )


def text_of(result: Any) -> str:
    """Give what a tool's result says in words."""
    (first, *_) = result.content
    assert isinstance(first, TextContent)
    return first.text


class FakeAgent(ServedAgent):
    """Remembers what it was asked; answers, raises, or waits until it is cancelled."""

    def __init__(self, answer: Answer, error: Exception | None = None, wait_for_cancel: bool = False) -> None:
        self.answers_with, self.error, self.wait_for_cancel = answer, error, wait_for_cancel
        self.hold: threading.Event | None = None
        self.asked: list[Question] = []
        self.started, self.cancelled = threading.Event(), threading.Event()

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        assert on_event is not None and cancel is not None, "the server always gives both"
        self.asked.append(replace(question, time_budget_s=None))
        on_event(Event(node="planner", kind="start"))
        on_event(Event(node="planner", kind="end"))
        on_event(Event(node="responder", kind="start"))
        on_event(Event(node="responder", kind="text", text="Three"))
        self.started.set()
        if self.wait_for_cancel:
            assert cancel.wait(300)
            self.cancelled.set()
        if self.hold is not None:
            assert self.hold.wait(300)
        if self.error is not None:
            raise self.error
        return self.answers_with


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Start HTTP servers, each on a free port and a thread of its own, until the test ends."""
    from mcp_server.http_server import HttpServer

    with ExitStack() as stack:

        def start(settings: Settings, open_agent: Any = None) -> HttpServer:
            server, ready = HttpServer(settings, "127.0.0.1", 0, open_agent), threading.Event()
            thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            assert ready.wait(300)
            return server

        yield start


@pytest.fixture
def fake_agent() -> type[FakeAgent]:
    return FakeAgent

"""Work that takes long: what is told meanwhile, when it ends, and that nobody's model goes on for nobody."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from PIL import Image

from graph.answer import Answer, Event
from graph.question import Question
from graph.served_agent import ServedAgent
from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.tools import answering as asking
from model.call_options import Cancelled
from model.hub import tiny_folder
from tests.mcp_server.conftest import text_of

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
NEVER = json.loads((tiny_folder() / "config.json").read_text("utf-8"))["video_token_id"]
"""A token that the bundled checkpoint does not write; as its only end, an answer goes on to its last token."""
LONG = 3000
PATIENT_S = 3000.0
"""A budget that does not end an answer of the real model, however busy the machine is."""


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


class Endless(ServedAgent):
    """The real agent with the bundled checkpoint, whose answers end at `LONG` tokens or when they are stopped."""

    def __init__(self, settings: Settings, progress: Any) -> None:
        from graph.agent import open_agent
        from model.qwen3_vl.chat import ChatQwen3VL

        self.agent = open_agent(settings, progress)
        chat = self.agent.chat
        assert isinstance(chat, ChatQwen3VL)
        self._worker, self.model = chat._worker, chat.loaded.model
        self.model.generation_config.eos_token_id = NEVER
        self.writing, self.ended = threading.Event(), threading.Event()
        self.outcomes: list[str] = []

    def answer(self, question: Question, *, on_event: Any = None, **others: Any) -> Answer:
        def heard(event: Event) -> None:
            on_event(event)
            if event.kind == "text":
                self.writing.set()

        try:
            answer = self.agent.answer(question, on_event=heard, **others)
            self.outcomes.append("answered")
            return answer
        except Cancelled:
            self.outcomes.append("cancelled")
            raise
        finally:
            self.ended.set()

    def wait_until_free(self) -> None:
        """Return when the model has nothing to do any more."""
        self._worker.submit(lambda: None).result(300)


@pytest.fixture(scope="module")
def endless() -> Any:
    return Endless(Settings(sessions="none", time_budget_s=PATIENT_S), lambda phase, share: None)


@pytest.fixture
def long_question(endless: Endless, tmp_path: Path) -> dict[str, Any]:
    endless.writing.clear()
    endless.ended.clear()
    endless.outcomes.clear()
    Image.new("RGB", (320, 240), "grey").save(tmp_path / "grey.png")
    picture = str(tmp_path / "grey.png")
    endless.agent._settings = Settings(roots=(tmp_path,), sessions="none", time_budget_s=PATIENT_S)
    return {"question": "How many?", "images": [picture], "effort": "quick", "max_new_tokens": LONG}


@ERAS
async def test_a_cancelled_call_frees_the_real_model(
    mode: str, settings: Settings, endless: Endless, long_question: dict[str, Any]
) -> None:
    async with Client(build_server(settings, opens(endless)), mode=mode) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "ask_image", long_question)
            assert await anyio.to_thread.run_sync(endless.writing.wait, 300)
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(endless.wait_until_free)
        assert await anyio.to_thread.run_sync(endless.ended.wait, 300)
    assert endless.outcomes == ["cancelled"]


@ERAS
async def test_a_client_that_goes_away_frees_the_real_model(
    mode: str, settings: Settings, endless: Endless, long_question: dict[str, Any]
) -> None:
    async with anyio.create_task_group() as group:

        async def ask_and_leave() -> None:
            async with Client(build_server(settings, opens(endless)), mode=mode) as client:
                await client.call_tool("ask_image", long_question)

        group.start_soon(ask_and_leave)
        assert await anyio.to_thread.run_sync(endless.writing.wait, 300)
        group.cancel_scope.cancel()
    await anyio.to_thread.run_sync(endless.wait_until_free)
    assert await anyio.to_thread.run_sync(endless.ended.wait, 300)
    assert endless.outcomes == ["cancelled"]


async def test_a_question_says_how_many_come_before_it_and_is_answered_in_its_turn(
    settings: Settings, endless: Endless, long_question: dict[str, Any]
) -> None:
    heard: list[tuple[float, str]] = []
    waiting = anyio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))
        if "answering, waiting for the model, 1 question before this one" in heard[-1][1]:
            waiting.set()

    short = {**long_question, "max_new_tokens": 4}
    async with Client(build_server(settings, opens(endless))) as client, anyio.create_task_group() as group:
        answered: list[Any] = []

        async def second() -> None:
            answered.append(await client.call_tool("ask_image", short, progress_callback=hear))

        async with anyio.create_task_group() as first:
            first.start_soon(client.call_tool, "ask_image", long_question)
            assert await anyio.to_thread.run_sync(endless.writing.wait, 300)
            group.start_soon(second)
            with anyio.fail_after(300):
                await waiting.wait()
            first.cancel_scope.cancel()
    assert not answered[0].is_error, text_of(answered[0])
    assert all(earlier < later for earlier, later in pairwise(progress for progress, _ in heard))


def test_the_end_of_stdin_ends_a_server_whose_model_is_writing(tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "grey").save(tmp_path / "grey.png")
    program = f"""
        import sys
        from cli.edge import Run, leave
        from cli.main import app

        def say(word):
            print(word, file=sys.stderr, flush=True)

        from graph.served_agent import ServedAgent

        class Endless(ServedAgent):
            def __init__(self, settings, progress):
                from graph.agent import open_agent
                self.agent = open_agent(settings, progress)
                self.agent.chat.loaded.model.generation_config.eos_token_id = {NEVER}

            def answer(self, question, *, on_event, **others):
                def heard(event):
                    if event.kind == "text":
                        say("writing")
                    on_event(event)
                answer = self.agent.answer(question, on_event=heard, **others)
                say("answered")
                return answer

        try:
            app(["serve", "--root", {str(tmp_path)!r}], obj=Run(open_agent=Endless))
        except SystemExit as end:
            say("ended")
            leave(end.code)
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LORGNETTE_TIME_BUDGET_S": str(PATIENT_S),
    }
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    ) as process:
        try:
            assert process.stdin is not None and process.stderr is not None
            for line in _asked(tmp_path):
                process.stdin.write(line + "\n")
            process.stdin.flush()
            assert next(line for line in process.stderr if line == "writing\n")
            process.stdin.close()
            last_words = set(process.stderr)
            assert process.wait(300) == 0
        finally:
            process.kill()
    assert "ended\n" in last_words and "answered\n" not in last_words


def _asked(folder: Path) -> list[str]:
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    arguments = {
        "question": "How many?",
        "images": [str(folder / "grey.png")],
        "effort": "quick",
        "max_new_tokens": LONG,
    }
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": client},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "ask_image", "arguments": arguments}},
    ]
    return [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]


async def test_the_time_of_an_answer_counts_from_the_call_and_not_from_the_model(
    settings: Settings, answer: Answer
) -> None:
    heard, ready, budgets = [], [], []
    loading = threading.Event()

    class Told(ServedAgent):
        def answer(self, question: Question, **_: Any) -> Answer:
            assert question.time_budget_s is not None
            budgets.append(question.time_budget_s)
            return answer

    def open_agent(_settings: Settings, progress: Callable[[str, float], None]) -> Any:
        assert loading.wait(300)
        ready.append(time.monotonic())
        return Told()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        if "loading" in (message or ""):
            heard.append(time.monotonic())
            loading.set()

    given = settings.model_copy(update={"time_budget_s": 4000.0})
    async with Client(build_server(given, open_agent, heartbeat_s=0.01)) as client:
        result = await client.call_tool("ask_image", {"question": "Which?"}, progress_callback=hear)
    assert not result.is_error, text_of(result)
    assert budgets[0] < 4000.0 - (ready[0] - heard[0]), "the loading, which began before it was heard of, is taken off"


async def test_an_answer_that_does_not_end_by_itself_is_given_up_before_clients_do(
    settings: Settings, answer: Answer, fake_agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().time_budget_s + asking.GRACE_S < 55
    monkeypatch.setattr(asking, "GRACE_S", 0.05)
    agent = fake_agent(answer, wait_for_cancel=True)
    hurried = settings.model_copy(update={"time_budget_s": 3.0})
    async with Client(build_server(hurried, opens(agent))) as client:
        result = await client.call_tool("ask_image", {"question": "Which?"})
        assert await anyio.to_thread.run_sync(agent.cancelled.wait, 300)
    assert result.is_error
    assert "There is no answer after 3 s (still answering, 5 characters); ask again with fewer" in text_of(result)


async def test_news_of_the_queue_are_told_at_once_and_forgotten_when_the_words_come(
    settings: Settings, answer: Answer
) -> None:
    heard: list[str] = []
    steps = {"2 questions before": threading.Event(), "answering, 5": threading.Event()}

    class Waits(ServedAgent):
        def answer(self, question: Question, *, on_event: Any = None, **_: Any) -> Answer:
            on_event(Event(node="responder", kind="start"))
            on_event(Event(node="responder", kind="queue", position=2))
            assert steps["2 questions before"].wait(300)
            on_event(Event(node="responder", kind="text", text="Three"))
            on_event(Event(node="reviewer", kind="queue", position=0))
            assert steps["answering, 5"].wait(300)
            return answer

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")
        for words, step in steps.items():
            if words in heard[-1]:
                step.set()

    # No heartbeat comes to help: each line is told because there is news.
    async with Client(build_server(settings, opens(Waits()), heartbeat_s=60)) as client:
        result = await client.call_tool("ask_image", {"question": "Which?"}, progress_callback=hear)
    assert not result.is_error, text_of(result)
    assert any("answering, waiting for the model, 2 questions before this one" in line for line in heard)

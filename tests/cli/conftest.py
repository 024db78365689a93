"""A scripted agent, and an environment that holds no settings of this machine."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli.edge import Run
from cli.main import app
from graph.answer import Answer, Box, Event, ModelResult, Plan, ReviewResult, Usage
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = ("CLAUDE_CONFIG_DIR", "CODEX_HOME")  # clients of this machine are nobody's business here
    for name in [name for name in os.environ if name.startswith("LORGNETTE_") or name in named]:
        monkeypatch.delenv(name)
    for name, folder in (("HOME", "user"), ("USERPROFILE", "user"), ("APPDATA", "apps"), ("LOCALAPPDATA", "apps")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "cat.png", "a/a.png", "b/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), "red").save(tmp_path / name)


@pytest.fixture
def answer() -> Answer:
    return Answer(
        answer="Three circles.",
        citations=[],
        boxes=[Box(label="circle", image=0, x1=1, y1=2, x2=30, y2=40)],
        plan=Plan(task="answer", steps=["count"], needs_knowledge=False, queries=[]),
        review=ReviewResult(verdict="PASS", feedback="three", rewrites=0),
        degraded=["model: for drawn shapes only"],
        model=ModelResult(name="fake", adapter=None, quantization="none"),
        usage=Usage(prefill_tokens=11, cached_tokens=22, new_tokens=33, seconds=0.5),
        session_id="s-1",
        truncated=False,
    )


class ScriptedAgent(ServedAgent):
    """Tells its events, then answers or raises."""

    def __init__(self, answer: Answer, events: Sequence[Event] = (), error: BaseException | None = None) -> None:
        self.answers_with, self.events, self.error = answer, events, error
        self.asked: list[Question] = []
        self.settings: Any = None

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        assert on_event is not None, "the command line always gives it"
        self.asked.append(question)
        for event in self.events:
            on_event(event)
        if self.error is not None:
            raise self.error
        return self.answers_with


@pytest.fixture
def scripted_agent() -> type[ScriptedAgent]:
    return ScriptedAgent


@pytest.fixture
def lorgnette() -> Callable[..., Result]:
    """Run the command line in this process with the given agent."""

    def run(*arguments: str, agent: Any = None) -> Result:
        def open_agent(settings: Any, _progress: Any) -> Any:
            agent.settings = settings
            return agent

        return CliRunner().invoke(app, list(arguments), obj=Run(open_agent=open_agent))

    return run

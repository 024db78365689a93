"""`lorgnette session`, `ask --trace`, `ask --field` and `lorgnette graph`, as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from PIL import Image

from graph.agent import Agent
from graph.answer import Event
from lorgnette.archive import open_archive
from lorgnette.settings import load_settings
from model.open import ModelIdentity


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session `mine` with two turns about a picture."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), "grey").save(tmp_path / "grey.png")
    settings = load_settings(effort="quick")
    archive = open_archive(settings)
    assert archive is not None
    chat = GenericFakeChatModel(messages=iter([AIMessage("one [bold]"), AIMessage("grey")]))
    agent = Agent(chat, ModelIdentity("fake", None, "none"), settings, None, archive)
    agent.ask("How many\x1b[31m?", ["grey.png"], session_id="mine")
    agent.ask("What color?", session_id="mine")
    archive.sessions.close()
    return tmp_path


def test_sessions_are_listed(kept: Path, lorgnette: Callable[..., Result]) -> None:
    listed = lorgnette("session", "list")
    assert listed.exit_code == 0
    assert listed.stdout.startswith("mine  20")
    assert "2 questions  How many?\n" in listed.stdout
    assert [info["id"] for info in json.loads(lorgnette("session", "list", "--json").stdout)] == ["mine"]


def test_a_session_is_shown_with_its_questions_pictures_and_answers(
    kept: Path, lorgnette: Callable[..., Result]
) -> None:
    shown = lorgnette("session", "show", "mine").stdout
    for words in ("1. How many?", "Picture: grey.png", "one [bold]", "2. What color?", "grey", "Model: fake"):
        assert words in shown
    turns = json.loads(lorgnette("session", "show", "mine", "--json").stdout)
    assert [turn["answer"]["answer"] for turn in turns] == ["one [bold]", "grey"]


def test_a_session_is_saved_as_a_report(kept: Path, lorgnette: Callable[..., Result]) -> None:
    path = Path(lorgnette("session", "save", "mine", "--title", "Grey things").stdout.strip())
    assert path.parent == kept / "home" / "reports"
    assert path.read_text("utf-8").startswith("# Grey things\n")


def test_a_session_is_deleted(kept: Path, lorgnette: Callable[..., Result]) -> None:
    assert lorgnette("session", "delete", "mine").stdout == "Deleted mine\n"
    assert json.loads(lorgnette("session", "list", "--json").stdout) == []


@pytest.mark.parametrize("command", ["show", "save", "delete"])
@pytest.mark.parametrize(("name", "told"), [("never", "session list"), ("../x", "cannot name a session")])
def test_a_session_that_is_not_there_is_one_clear_line(
    lorgnette: Callable[..., Result], command: str, name: str, told: str
) -> None:
    result = lorgnette("session", command, name)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_the_trace_draws_each_node_with_its_seconds_and_tokens(
    lorgnette: Callable[..., Result], scripted_agent: Any, answer: Any
) -> None:
    events = [
        Event(node="planner", kind="end", seconds=0.25, read_tokens=40, cached_tokens=7, new_tokens=5, details=["[x]"]),
        Event(node="responder", kind="end", seconds=0.5, read_tokens=3, cached_tokens=47, new_tokens=2),
    ]
    drawn = lorgnette("ask", "How many?", "--trace", agent=scripted_agent(answer, events)).stderr
    assert "planner  0.25 s, 40 read, 7 from the cache, 5 written" in drawn
    assert "[x]" in drawn
    assert drawn.index("planner") < drawn.index("responder  0.50 s, 3 read, 47 from the cache")


def test_fields_reach_the_agent(lorgnette: Callable[..., Result], scripted_agent: Any, answer: Any) -> None:
    agent = scripted_agent(answer)
    lorgnette("ask", "Read it.", "--field", "total", "--field", "date", agent=agent)
    assert agent.asked[0].fields == ("total", "date")


def test_the_graph_is_printed_as_mermaid(lorgnette: Callable[..., Result]) -> None:
    printed = lorgnette("graph").stdout
    assert printed.startswith("graph TD;")
    for edge in ("planner", "retriever --> responder;", "archivist --> finisher;", "reviewer"):
        assert edge in printed

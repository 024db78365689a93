"""A question is answered by the server that runs already, where it would answer the same; nothing is loaded here."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graph.answer import Answer, Event, ModelResult, Usage
from graph.errors import GraphError
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from lorgnette.model_sharing.handover import (
    ASK_PATH,
    HandedOverLost,
    HandedOverRefused,
    hand_over,
    settings_digest,
)
from lorgnette.settings import Settings
from model.errors import ImageError
from model.open import ModelIdentity

Serve = Callable[..., Any]


class Seeing(ServedAgent):
    """Says how large the picture is, after one event; or does what the question names."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.cancelled = threading.Event()

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("tiny", None, "none")

    @property
    def chat(self) -> Any:
        return object()

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        from model.pictures.open import open_picture

        self.asked.append(question)
        assert on_event is not None and cancel is not None
        on_event(Event(node="responder", kind="text", text="Ein Bild: "))
        if question.text == "refuse":
            raise GraphError("That cannot be asked; ask something else.")
        if question.text == "fail":
            raise ZeroDivisionError
        if question.text == "wait":
            assert cancel.wait(60)
            self.cancelled.set()
        size = open_picture(question.images[0], ()).image.size if question.images else (0, 0)
        return Answer(
            answer=f"{size[0]} x {size[1]}", citations=[], boxes=[], plan=None, review=None, degraded=[],
            model=ModelResult(name="tiny", adapter=None, quantization="none"),
            usage=Usage(prefill_tokens=1, cached_tokens=0, new_tokens=1, seconds=0.1), session_id="s", truncated=False,
        )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    Image.new("RGB", (120, 80), "red").save(tmp_path / "red.jpg")
    return Settings(roots=(tmp_path,))


@pytest.fixture
def agent(serve: Serve, settings: Settings) -> Seeing:
    """Served with other roots than those of who asks."""
    agent = Seeing()
    serve(settings.model_copy(update={"roots": (Path("/nowhere"),)}), lambda own, _: agent)
    return agent


def test_the_server_answers_about_a_picture_that_only_the_asker_may_read(agent: Seeing, settings: Settings) -> None:
    events: list[Event] = []
    question = Question("Wie groß?", ("red.jpg",), session_id="s", fields=("size",))
    answer = hand_over(settings, question, on_event=events.append)
    assert answer is not None
    assert answer.answer == "120 x 80"
    assert [event.text for event in events] == ["Ein Bild: "]
    assert (agent.asked[0].text, agent.asked[0].session_id, agent.asked[0].fields) == ("Wie groß?", "s", ("size",))


def test_nothing_is_handed_over_where_the_settings_would_give_another_answer(agent: Seeing, settings: Settings) -> None:
    for update in ({"max_new_tokens": 7}, {"effort": "quick"}, {"kb": Path("/elsewhere")}, {"attach": "never"}):
        assert hand_over(settings.model_copy(update=update), Question("Which?")) is None
    assert agent.asked == []


def test_without_a_server_nothing_is_handed_over(settings: Settings) -> None:
    assert hand_over(settings, Question("Which?")) is None


def test_what_the_agent_refuses_is_refused_in_its_words(agent: Seeing, settings: Settings) -> None:
    with pytest.raises(HandedOverRefused, match="That cannot be asked"):
        hand_over(settings, Question("refuse"))


def test_an_unexpected_failure_over_there_is_one_sentence_here(agent: Seeing, settings: Settings) -> None:
    with pytest.raises(HandedOverRefused, match="the server's log says why"):
        hand_over(settings, Question("fail"))


def test_a_picture_outside_the_askers_own_roots_is_refused_before_anything_is_sent(
    agent: Seeing, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "secret.png"
    Image.new("RGB", (64, 64)).save(other)
    with pytest.raises(ImageError):
        hand_over(settings, Question("Which?", (str(other),)))
    assert agent.asked == []


def test_a_file_that_changes_while_it_is_opened_is_not_sent(
    agent: Seeing, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda self: b"somebody else's secret")
    assert hand_over(settings, Question("Which?", ("red.jpg",))) is None
    assert agent.asked == []


def test_who_stops_asking_frees_the_model_there(agent: Seeing, settings: Settings) -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(HandedOverLost):
        hand_over(settings, Question("wait"), cancel=cancel)
    assert agent.cancelled.wait(60)


def test_a_stranger_without_the_key_is_told_that_there_is_nothing(serve: Serve, settings: Settings) -> None:
    server = serve(settings, lambda own, _: Seeing())
    connection = HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    body = json.dumps({"settings": settings_digest(settings), "question": {"text": "Which?"}})
    connection.request("POST", "/v1" + ASK_PATH, body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 404
    connection.close()


def test_a_server_that_ends_meanwhile_is_said(settings: Settings, serve: Serve) -> None:
    server = serve(settings, lambda own, _: Seeing())
    with pytest.raises(HandedOverLost, match="has ended; ask again"):
        hand_over(settings, Question("wait"), on_event=lambda event: server.stop())


def test_the_command_imports_neither_torch_nor_langchain_for_it(agent: Seeing, settings: Settings) -> None:
    script = f"""
import sys
from cli.main import app
try:
    app(["ask", "Which?", {str(settings.roots[0] / "red.jpg")!r}, "--root", {str(settings.roots[0])!r}])
except SystemExit as end:
    assert not end.code, end.code
print([name for name in ("torch", "transformers", "langchain_core", "langgraph", "chromadb") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert "120 x 80" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"

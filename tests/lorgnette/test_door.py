"""`import lorgnette`: ask, search, open_agent, with the bundled checkpoint and the samples."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lorgnette
from graph.question import Question, QuestionOptions

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "examples" / "shapes.png"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SHAPES, tmp_path)
    (tmp_path / "knowledge_base").mkdir()
    (tmp_path / "knowledge_base" / "lamp.md").write_text("The lamp weighs two kilograms.", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_importing_it_loads_nothing_but_its_own_file() -> None:
    code = (
        "import sys; before = set(sys.modules); import lorgnette; dir(lorgnette)\n"
        "ours = ('cli', 'common', 'finetune', 'graph', 'mcp_server', 'model', 'retrieval', 'pydantic')\n"
        "print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] in ours))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


def test_every_name_that_it_offers_is_there() -> None:
    for name in lorgnette.__all__:
        assert getattr(lorgnette, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'answer_everything'"):
        lorgnette.answer_everything  # noqa: B018 - looking it up is the test


def test_a_question_is_one_line(folder: Path) -> None:
    answer = lorgnette.ask("How many objects are there?", ["shapes.png"], effort="quick")
    assert isinstance(answer, lorgnette.Answer)
    assert answer.answer == "5"


def test_an_agent_asks_follows_searches_and_saves(folder: Path) -> None:
    phases: list[str] = []
    with lorgnette.open_agent(progress=lambda phase, share: phases.append(phase), embedder="no-such-model") as agent:
        assert phases == [], "nothing is loaded before the first question"
        *events, answer = agent.stream("What shape is the green object?", [Path("shapes.png")], session_id="tour")
        assert isinstance(answer, lorgnette.Answer) and answer.answer == "triangle"
        assert {event.node for event in events if isinstance(event, lorgnette.Event)} >= {"planner", "responder"}
        assert phases
        agent._documents.required().sync()
        (hit,) = agent.search("How heavy is the lamp?").hits
        assert hit.source == "lamp.md"
        summary = agent.save_summary("tour", "A tour")
    assert "What shape is the green object?" in Path(summary.path).read_text("utf-8")


def test_who_stops_reading_stops_the_work(folder: Path) -> None:
    with lorgnette.open_agent() as agent:
        news = agent.stream("How many objects are there?", ["shapes.png"])
        next(news)
        news.close()  # type: ignore[attr-defined]  # a generator
        assert agent.ask("How many objects are there?", ["shapes.png"], effort="quick").answer == "5"


def test_a_refusal_says_what_to_do_before_anything_is_loaded(folder: Path) -> None:
    with pytest.raises(lorgnette.LorgnetteError, match=r"did you mean .shapes\.png."):
        lorgnette.ask("What is it?", ["shape.png"])
    with (
        pytest.raises(lorgnette.LorgnetteError, match="Sessions are switched off"),
        lorgnette.open_agent(sessions="none") as agent,
    ):
        agent.save_summary("tour")


def test_a_question_can_be_cancelled_from_another_thread(folder: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with lorgnette.open_agent() as agent, pytest.raises(lorgnette.LorgnetteError, match="cancelled"):
        agent.ask("How many objects are there?", ["shapes.png"], cancel=cancel)


def test_options_are_declared_once() -> None:
    declared = set(Question.__dataclass_fields__) - {"text", "images"}
    assert set(QuestionOptions.__annotations__) == declared

"""What may stand behind `lorgnette ask`: a question, pictures from anywhere, or pictures alone."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageGrab

from cli.ask.named import DESCRIBE
from graph.answer import Answer


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture in a folder that no setting allows."""
    path = tmp_path_factory.mktemp("downloads") / "cat.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path


def test_a_picture_alone_is_described(lorgnette: Any, scripted_agent: Any, answer: Answer, elsewhere: Path) -> None:
    agent = scripted_agent(answer)
    assert lorgnette("ask", str(elsewhere), agent=agent).exit_code == 0
    assert (agent.asked[0].text, agent.asked[0].images) == (DESCRIBE, (str(elsewhere),))


def test_several_pictures_alone_are_described(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    agent = scripted_agent(answer)
    assert lorgnette("ask", "a.png", "cat.png", agent=agent).exit_code == 0
    assert agent.asked[0].text == DESCRIBE
    assert [Path(image).name for image in agent.asked[0].images] == ["a.png", "cat.png"]


def test_a_picture_that_the_user_names_may_lie_anywhere(
    lorgnette: Any, scripted_agent: Any, answer: Answer, elsewhere: Path
) -> None:
    agent = scripted_agent(answer)
    assert lorgnette("ask", "Which?", str(elsewhere), agent=agent).exit_code == 0
    assert elsewhere.parent in agent.settings.roots


def test_so_may_one_with_a_colon_in_its_name(
    lorgnette: Any, scripted_agent: Any, answer: Answer, elsewhere: Path
) -> None:
    agent, path = scripted_agent(answer), elsewhere.with_name("at 12:30.png")
    elsewhere.rename(path)
    assert lorgnette("ask", "Which?", str(path), agent=agent).exit_code == 0
    assert path.parent in agent.settings.roots


def test_a_picture_that_begins_with_a_dash_follows_two(
    lorgnette: Any, scripted_agent: Any, answer: Answer, tmp_path: Path
) -> None:
    agent = scripted_agent(answer)
    Image.new("RGB", (64, 64)).save("-dash.png")
    assert lorgnette("ask", "Which?", "--", "-dash.png", agent=agent).exit_code == 0
    assert [Path(image).name for image in agent.asked[0].images] == ["-dash.png"]


def test_a_mistyped_picture_alone_is_missed_and_not_asked_as_a_question(
    lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    result = lorgnette("ask", "caat.png", agent=scripted_agent(answer))
    assert result.exit_code == 1
    assert "There is no file 'caat.png'; did you mean 'cat.png'" in result.stderr


def test_a_question_that_speaks_of_a_file_is_a_question(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    agent = scripted_agent(answer)
    assert lorgnette("ask", "What did I call the file cat.png", agent=agent).exit_code == 0
    assert agent.asked[0].images == ()


@pytest.mark.parametrize(("flag", "name"), [("--clipboard", "grabclipboard"), ("--screenshot", "grab")])
def test_what_is_on_the_clipboard_or_the_screen_is_looked_at(
    flag: str, name: str, lorgnette: Any, scripted_agent: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageGrab, name, lambda: Image.new("RGBA", (30, 20), "blue"))
    agent = scripted_agent(answer)
    assert lorgnette("ask", "Which?", flag, agent=agent).exit_code == 0
    (source,) = agent.asked[0].images
    assert Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size == (30, 20)


def test_a_file_that_was_copied_is_looked_at(
    lorgnette: Any, scripted_agent: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: [str(elsewhere)])
    agent = scripted_agent(answer)
    assert lorgnette("ask", "--clipboard", agent=agent).exit_code == 0
    assert (agent.asked[0].text, agent.asked[0].images) == (DESCRIBE, (str(elsewhere),))


@pytest.mark.parametrize("found", [None, "text", []])
def test_a_clipboard_without_a_picture_is_said(
    found: object, lorgnette: Any, scripted_agent: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: found)
    result = lorgnette("ask", "Which?", "--clipboard", agent=scripted_agent(answer))
    assert result.exit_code == 1
    assert result.stderr.strip() == "Error: There is no picture on the clipboard; copy one, or give the path of a file."


@pytest.mark.parametrize(("flag", "name"), [("--clipboard", "grabclipboard"), ("--screenshot", "grab")])
def test_a_system_that_gives_neither_is_said(
    flag: str, name: str, lorgnette: Any, scripted_agent: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("X connection failed: error 5")

    monkeypatch.setattr(ImageGrab, name, fail)
    result = lorgnette("ask", "Which?", flag, agent=scripted_agent(answer))
    assert result.exit_code == 1
    assert "cannot be read (X connection failed: error 5);" in result.stderr

"""`lorgnette ask --boxes`: the picture with the boxes as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

from graph.answer import Answer, Box
from graph.question import Question
from graph.served_agent import ServedAgent
from model.pictures.open import open_picture

Lorgnette = Callable[..., Result]


class Boxed(ServedAgent):
    """Sees a box in each picture whose number is given."""

    def __init__(self, answer: Answer, *numbers: int, earlier: int = 0) -> None:
        boxes = [Box(label="cat", image=number, x1=100, y1=100, x2=200, y2=200) for number in numbers]
        self.boxed = answer.model_copy(update={"boxes": boxes})
        self.earlier = earlier

    def answer(self, question: Question, *, on_pictures: Any = None, **_: Any) -> Answer:
        if on_pictures is not None:
            on_pictures([open_picture(image, (Path(image).parent,)) for image in question.images], self.earlier)
        return self.boxed


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        Image.new("RGB", (2000, 1000), "grey").save(path)
    return [str(path) for path in paths]


def test_the_boxes_are_written_into_a_copy_of_the_same_size(
    lorgnette: Lorgnette, answer: Answer, pictures: list[str]
) -> None:
    before = Path(pictures[0]).read_bytes()
    run = lorgnette("ask", "Where?", pictures[0], "--boxes", "out.png", agent=Boxed(answer, 0))
    assert run.exit_code == 0, run.output
    assert "Boxes drawn in out.png" in run.stderr
    with Image.open("out.png") as drawn:
        assert drawn.size == (2000, 1000)
        assert drawn.getpixel((100, 150)) != (128, 128, 128)
    assert Path(pictures[0]).read_bytes() == before


def test_several_pictures_become_several_files(lorgnette: Lorgnette, answer: Answer, pictures: list[str]) -> None:
    run = lorgnette("ask", "Where?", *pictures, "--boxes", "out.png", agent=Boxed(answer, 1, 2, earlier=1))
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in Path().glob("out*")) == ["out-1.png", "out-2.png"]


def test_an_answer_without_boxes_writes_nothing_and_says_so(
    lorgnette: Lorgnette, answer: Answer, pictures: list[str]
) -> None:
    run = lorgnette("ask", "How many?", pictures[0], "--json", "--boxes", "out.png", agent=Boxed(answer))
    assert run.exit_code == 0
    assert "The answer has no boxes; nothing was drawn." in run.stderr
    assert Answer.model_validate_json(run.stdout).boxes == []
    assert not Path("out.png").exists()


def test_a_picture_is_never_drawn_over(lorgnette: Lorgnette, answer: Answer, pictures: list[str]) -> None:
    run = lorgnette("ask", "Where?", pictures[0], "--boxes", "a.png", agent=Boxed(answer, 0))
    assert run.exit_code == 1
    assert "'a.png' is the picture itself; name another file." in run.stderr


def test_a_folder_that_is_not_there_costs_the_file_and_not_the_answer(
    lorgnette: Lorgnette, answer: Answer, pictures: list[str]
) -> None:
    run = lorgnette("ask", "Where?", pictures[0], "--boxes", "nowhere/out.png", agent=Boxed(answer, 0))
    assert run.exit_code == 1
    assert answer.answer in run.stdout
    assert "Error: The boxes could not be written to 'nowhere/out.png' (No such file or directory)" in run.stderr


def test_another_suffix_is_bad_usage(lorgnette: Lorgnette, answer: Answer, pictures: list[str]) -> None:
    run = lorgnette("ask", "Where?", pictures[0], "--boxes", "out.jpg", agent=Boxed(answer, 0))
    assert run.exit_code == 2
    assert "'out.jpg' does not end in .png" in run.stderr

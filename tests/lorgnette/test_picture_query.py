"""A picture as a query: the user's words, what the model says of it and the words in it, and what was not used."""

import threading
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image, ImageDraw, ImageFont

from lorgnette.picture_query import MOST_WORDS, NOT_READ, PictureSaysNothing, picture_query, search_with_picture
from model.errors import ImageError
from retrieval.records import Hit, SearchOutcome
from retrieval.sync.captions import Caption, CaptionFailed


class Captioner:
    def __init__(self, says: str | Exception) -> None:
        self.says = says

    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        if isinstance(self.says, Exception):
            raise self.says
        return Caption(self.says, "fake")


class Base:
    """Finds these passages, and these pictures."""

    def __init__(self, hits: tuple[Hit, ...] = (), alike: tuple[Hit, ...] = ()) -> None:
        self.hits, self.pictures = hits, alike

    def search(self, query: str, top_k: int, wanted: object, *, wait_s: float) -> SearchOutcome:
        return SearchOutcome(self.hits[:top_k], "lexical", ("dense: none",))

    def alike(self, image: Image.Image, top_k: int, wanted: object) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
        return self.pictures[:top_k], ("image: some were not compared",)


def hit(source: str, match: Literal["relevant", "weak"] = "weak") -> Hit:
    return Hit(source, source, None, 0, 1, "x", (), "", 0.0, False, 1.0, match=match)


@pytest.fixture
def plate(tmp_path: Path) -> str:
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((30, 60), "Centrifuge MX-400", fill="black", font=ImageFont.load_default(48))
    image.save(tmp_path / "plate.png")
    return "plate.png"


@pytest.fixture
def blank(tmp_path: Path) -> str:
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "grey.png")
    return "grey.png"


def test_its_words_and_its_caption_follow_the_users(plate: str, tmp_path: Path) -> None:
    asked = picture_query(plate, "same machine?", (tmp_path,), Captioner("A white\nmachine."))
    assert asked.text.startswith("same machine? A white machine. Centrifuge MX-400") and asked.notes == ()


def test_without_a_model_its_words_are_searched_for_and_that_is_said(plate: str, tmp_path: Path) -> None:
    asked = picture_query(plate, "", (tmp_path,))
    assert asked.text == "Centrifuge MX-400"
    assert [note for note in asked.notes if "no model describes pictures" in note] == list(asked.notes)


def test_a_picture_that_says_nothing_needs_words(blank: str, tmp_path: Path) -> None:
    base, asked = Base(), picture_query(blank, " ", (tmp_path,), Captioner(CaptionFailed("it was too dark")))
    with pytest.raises(PictureSaysNothing, match="give words with it") as raised:
        search_with_picture(base, asked, 5)  # type: ignore[arg-type]
    assert NOT_READ in raised.value.notes and "it was too dark" in str(raised.value)
    assert picture_query(blank, "lamp", (tmp_path,)).text == "lamp"


def test_a_page_of_a_pdf_gives_its_first_words(tmp_path: Path) -> None:
    from tests.retrieval.regions.page_pdf import page_pdf

    (tmp_path / "a.pdf").write_bytes(page_pdf([(40, 700 - 15 * n, f"word{n} and other{n}") for n in range(30)]))
    asked = picture_query("a.pdf", "", (tmp_path,))
    assert asked.text.startswith("word0 and other0 word1") and len(asked.text.split()) == MOST_WORDS
    assert any("the first 60 of its 90 words" in note for note in asked.notes)


def test_a_picture_outside_of_the_roots_is_refused(blank: str, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with pytest.raises(ImageError):
        picture_query(str(tmp_path / blank), "lamp", (tmp_path / "inside",))


def test_pictures_that_look_alike_stand_between_what_is_relevant_and_what_is_weak(plate: str, tmp_path: Path) -> None:
    asked = picture_query(plate, "", (tmp_path,))
    words = (hit("a", "relevant"), hit("b", "relevant"), hit("c"))
    base = Base(words, (hit("p.png"), hit("a")))
    found = search_with_picture(base, asked, 5)  # type: ignore[arg-type]
    assert [one.source for one in found.hits] == ["a", "b", "p.png", "c"]
    assert found.mode == "lexical+image" and found.degraded[-1] == "image: some were not compared"
    assert [one.source for one in search_with_picture(base, asked, 2).hits] == ["a", "p.png"]  # type: ignore[arg-type]
    assert [one.source for one in search_with_picture(Base(words), asked, 2).hits] == ["a", "b"]  # type: ignore[arg-type]


def test_without_words_the_pictures_that_look_alike_are_all(blank: str, tmp_path: Path) -> None:
    asked = picture_query(blank, "", (tmp_path,))
    found = search_with_picture(Base(alike=(hit("p.png"),)), asked, 5)  # type: ignore[arg-type]
    assert [one.source for one in found.hits] == ["p.png"] and found.mode == "image"

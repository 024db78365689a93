"""Pictures by their names and captions, with a reader that sees no words unless the bytes are words."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from retrieval.catalogue.catalogue import Catalogue
from retrieval.knowledge_base import KnowledgeBase
from retrieval.reading.picture_passages import CAPTION, PICTURE, described_text, renamed, with_caption, with_name
from retrieval.reading.recipe import Recipe
from retrieval.records import Chunk, Document
from retrieval.settings import RetrievalSettings
from retrieval.sync.captions import Caption, CaptionerUnavailable, CaptionFailed
from tests.retrieval.conftest import LetterEmbedder


class Scripted:
    """Says of each picture what its first pixel is; a list of errors comes first."""

    def __init__(self, *errors: Exception | None, model: str = "scripted") -> None:
        self.errors, self.model = list(errors), model
        self.asked: list[str] = []

    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        self.asked.append(sha256)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        colour = {b"\xff\0\0": "red", b"\0\0\xff": "blue"}[picture.tobytes()[:3]]
        return Caption(f"a {colour}\n square", self.model)


def paint(path: Path, colour: str, side: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.fixture
def base(folder: Path, tmp_path: Path) -> Iterator[KnowledgeBase]:
    settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
    opened = KnowledgeBase(settings, tmp_path / "home")
    yield opened
    opened.close()


def found(base: KnowledgeBase, query: str) -> list[tuple[str, tuple[str, ...], str]]:
    """What a search finds, each held against its file."""
    hits = base.search(query, wait_s=300).hits
    assert all(base.verify(hit).status == "exact" for hit in hits)
    return [(hit.source, hit.headings, hit.text) for hit in hits]


def test_a_picture_without_words_is_found_by_its_name(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "holiday" / "red-car.png", "red")
    paint(folder / "BlueBoat.png", "blue")
    paint(folder / "假期" / "红色汽车.png", "red", 5)
    base.sync()
    assert found(base, "picture of a red car")[0] == ("holiday/red-car.png", PICTURE, "holiday/red-car.png")
    assert found(base, "red car") == [("holiday/red-car.png", PICTURE, "holiday/red-car.png")]
    assert found(base, "blue boat") == [("BlueBoat.png", PICTURE, "Blue Boat.png")]
    assert found(base, "红色汽车") == [("假期/红色汽车.png", PICTURE, "假期/红色汽车.png")]
    assert found(base, "IMG_1234") == []


def test_a_renamed_picture_is_found_by_its_new_name_and_is_not_read_again(base: KnowledgeBase, folder: Path) -> None:
    path = paint(folder / "red-car.png", "red")
    captioner = Scripted()
    base.sync()
    assert list(base.captions(captioner))
    base._recipe = replace(base._recipe, read=lambda path, data: pytest.fail("it was read"))
    path.rename(folder / "green-bus.png")
    report = base.sync()
    assert (report.renamed, report.added, report.removed, report.unchanged) == (1, 0, 0, 0)
    assert list(base.captions(captioner)) == [] and len(captioner.asked) == 1
    assert [chunk.text for chunk in base.catalogue.chunks_in("green-bus.png")] == [
        "green-bus.png", "Caption by scripted: a red square"
    ]  # fmt: skip
    assert base.catalogue.file("red-car.png") is None
    assert [hit.source for hit in base.search("car").hits] == []


def test_a_caption_says_who_made_it_and_is_cited_exactly(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a.png", "red")
    base.sync()
    (made,) = base.captions(Scripted(model="Qwen/Qwen3-VL-4B"))
    assert (made.source, made.done, made.total, made.problem) == ("a.png", 1, 1, "")
    assert found(base, "red square") == [("a.png", CAPTION, "Caption by Qwen/Qwen3-VL-4B: a red square")]


def test_a_picture_is_captioned_once_whatever_becomes_of_its_file(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a.png", "red")
    paint(folder / "copy.png", "red")
    captioner = Scripted()
    base.sync()
    assert [made.source for made in base.captions(captioner)] == ["a.png", "copy.png"]
    assert len(captioner.asked) == 1
    base.sync()
    (folder / "copy.png").touch()
    base.sync()
    # Another recipe reads every file again.
    base._recipe = replace(base._recipe, fingerprint="another")
    assert base.sync().updated == 2
    # A copy that comes later.
    paint(folder / "later.png", "red")
    base.sync()
    assert list(base.captions(captioner)) == [] and len(captioner.asked) == 1
    assert base.catalogue.chunks_in("later.png")[-1].text == "Caption by scripted: a red square"
    assert len(found(base, "red square")) == 1


def test_other_bytes_are_another_picture(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a.png", "red")
    captioner = Scripted()
    base.sync()
    list(base.captions(captioner))
    paint(folder / "a.png", "blue", 9)
    base.sync()
    assert found(base, "red square") == []
    list(base.captions(captioner))
    assert [text for _, _, text in found(base, "blue square")] == ["Caption by scripted: a blue square"]


def test_a_failed_caption_is_tried_again_and_stops_nobody_else(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a-name.png", "red")
    paint(folder / "b.png", "blue")
    captioner = Scripted(CaptionFailed("too dark"))
    base.sync()
    assert [(made.source, made.problem) for made in base.captions(captioner)] == [
        ("a-name.png", "too dark"), ("b.png", "")
    ]  # fmt: skip
    assert [source for source, _, _ in found(base, "name")] == ["a-name.png"]
    assert [made.source for made in base.captions(captioner)] == ["a-name.png"]
    assert found(base, "red square")


def test_nobody_to_caption_is_asked_once(base: KnowledgeBase, folder: Path) -> None:
    for n in range(3):
        paint(folder / f"{n}.png", "red", 4 + n)
    captioner = Scripted(CaptionerUnavailable("no model"))
    base.sync()
    assert [made.problem for made in base.captions(captioner)] == ["no model"]
    assert len(captioner.asked) == 1


def test_three_failures_in_a_row_end_the_round(base: KnowledgeBase, folder: Path) -> None:
    for n in range(5):
        paint(folder / f"{n}.png", "red", 4 + n)
    captioner = Scripted(*[CaptionFailed("no")] * 9)
    base.sync()
    assert len(list(base.captions(captioner))) == 3
    no = CaptionFailed("no")
    assert len(list(base.captions(Scripted(no, no, None, no, no)))) == 5


def test_a_cancelled_caption_is_not_kept(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a.png", "red")
    base.sync()
    cancel = threading.Event()

    class Interrupted(Scripted):
        def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
            cancel.set()
            return Caption("a re", "scripted")  # what a model had said when it was stopped

    assert list(base.captions(Interrupted(), cancel)) == []
    ((source, _),) = base.catalogue.uncaptioned()
    assert source == "a.png"
    assert found(base, "a.png")


@pytest.mark.parametrize("said", ["", " \n", "…!"])
def test_a_caption_without_words_is_none(base: KnowledgeBase, folder: Path, said: str) -> None:
    paint(folder / "a.png", "red")
    base.sync()

    class Silent(Scripted):
        def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
            return Caption(said, "scripted")

    (made,) = base.captions(Silent())
    assert "said nothing" in made.problem


def test_what_a_model_says_is_one_line_of_bounded_length(base: KnowledgeBase, folder: Path) -> None:
    paint(folder / "a.png", "red")
    base.sync()

    class Talkative(Scripted):
        def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
            return Caption("red\x1b[31m\n\n# red\u202e " + "x" * 9999, "a\nb")

    list(base.captions(Talkative()))
    text = base.catalogue.chunks_in("a.png")[-1].text
    assert text.startswith("Caption by a b: red [31m # red x") and len(text) < 700 and text.isprintable()


def test_one_process_captions_at_a_time(base: KnowledgeBase, folder: Path, tmp_path: Path) -> None:
    paint(folder / "a.png", "red")
    paint(folder / "b.png", "blue")
    base.sync()
    first = base.captions(Scripted())
    next(first)
    assert list(base.captions(Scripted())) == []
    first.close()
    assert [made.source for made in base.captions(Scripted())] == ["b.png"]


def test_a_file_that_was_edited_meanwhile_gets_no_caption_of_its_former_self(base: KnowledgeBase, folder: Path) -> None:
    path = paint(folder / "a.png", "red")
    base.sync()

    class Slow(Scripted):
        def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
            paint(path, "blue", 9)
            base.sync()
            return super().caption(picture, sha256, cancel)

    list(base.captions(Slow()))
    assert [chunk.headings for chunk in base.catalogue.chunks_in("a.png")] == [PICTURE]


def test_a_captions_vector_is_made_with_it(
    folder: Path, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    from retrieval.reading.recipe import open_recipe
    from retrieval.sync.captions import make_captions
    from retrieval.sync.sync import sync

    paint(folder / "a.png", "red")
    recipe = open_recipe(RetrievalSettings())
    catalogue = Catalogue(tmp_path / "kb.sqlite")
    sync(catalogue, folder, letters, recipe)
    letters.asked.clear()
    list(make_captions(catalogue, folder, Scripted(), recipe, lambda: letters, threading.Event()))
    assert letters.asked == ["caption\nCaption by scripted: a red square"]
    assert catalogue.counts().vectors == {"letters": 2}
    catalogue.close()


@pytest.mark.parametrize("words", ["", "STOP sign"])
def test_the_passages_are_spans_of_what_is_indexed(words: str) -> None:
    document = Document(words, "image")
    own = [Chunk("id", words, 0, len(words))] if words else []
    _, chunks = with_name(document, own, "a/b.png")
    chunks = with_caption(chunks, "Caption by x: y")
    for source, held in (("a/b.png", chunks), ("much/longer/name.png", renamed(chunks, "much/longer/name.png"))):
        text = described_text(document, source, "Caption by x: y")
        assert text.startswith(words)
        assert [text[chunk.start : chunk.end] for chunk in held] == [
            *([words] if words else []), source, "Caption by x: y"
        ]  # fmt: skip


def test_other_documents_stay_as_they_are() -> None:
    document = Document("words", "text")
    assert with_name(document, [], "a.txt") == (document, ())
    assert described_text(document, "a.txt", "Caption by x: y") == "words"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a\nb\x1b[31m.png", "a b [31m.png"),
        ("\udcba\udcec.png", "\\udcba\\udcec.png"),
        ("RedCar/HTMLPage.png", "Red Car/HTMLPage.png"),
    ],
)
def test_any_name_is_one_line_of_real_characters(source: str, text: str) -> None:
    assert with_name(Document("", "image"), [], source)[0].text == text

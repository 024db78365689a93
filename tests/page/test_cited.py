"""The page of a citation: its picture with the words framed, and what is said where that cannot be."""

import io
from pathlib import Path

import pytest
from PIL import Image

from lorgnette.documents import Documents
from lorgnette.page_pictures import best_sentence
from lorgnette.settings import Settings
from page.cited import Place, cited_page
from page.pictures import Pictures
from retrieval.records import Hit
from tests.lorgnette.test_page_pictures import FRAME, box_of
from tests.retrieval.regions.page_pdf import page_pdf

QUESTION = "How long is the warranty?"


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Documents:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    (tmp_path / "kb").mkdir()
    texts = [(61, 700, "The K3 is a microscope."), (61, 600, "Its warranty lasts 36 months."), (61, 500, "It is grey.")]
    (tmp_path / "kb" / "k3.pdf").write_bytes(page_pdf(texts))
    (tmp_path / "kb" / "notes.md").write_text("The warranty is a good one.\n", "utf-8")
    documents = Documents(Settings(kb=tmp_path / "kb", embedder="none-of-ours"))
    documents.required().sync()
    return documents


def hit_in(documents: Documents, source: str) -> Hit:
    return next(hit for hit in documents.required().search("warranty", 5).hits if hit.source == source)


def place_of(hit: Hit) -> Place:
    return Place(hit.source, hit.page, hit.start, hit.end, hit.text, QUESTION)


def frame_in(pictures: Pictures, url: str) -> tuple[int, int, int, int] | None:
    found = pictures.data(url.rpartition("/")[2])
    assert found is not None
    return box_of(Image.open(io.BytesIO(found[0])).convert("RGB"), FRAME)


def test_the_words_are_framed_where_they_stand_on_the_page(documents: Documents) -> None:
    hit, pictures = hit_in(documents, "k3.pdf"), Pictures()
    found = cited_page(place_of(hit), documents, pictures)
    assert found.picture is not None and found.picture.name == "k3.pdf" and found.picture.width > 0
    assert "36 months" in found.quote and not found.stale
    box = frame_in(pictures, found.picture.url)
    (sentence,) = documents.required().locate(best_sentence(hit, QUESTION)).regions
    assert box == pytest.approx((sentence.x1, sentence.y1, sentence.x2, sentence.y2), abs=6)


def test_a_text_has_no_picture_and_its_words_are_shown(documents: Documents) -> None:
    found = cited_page(place_of(hit_in(documents, "notes.md")), documents, Pictures())
    assert found.picture is None and found.note == "" and found.quote.strip() == "The warranty is a good one."


def test_a_file_that_has_changed_is_said_to_have_and_nothing_is_framed(documents: Documents, tmp_path: Path) -> None:
    hit, pictures = hit_in(documents, "k3.pdf"), Pictures()
    (tmp_path / "kb" / "k3.pdf").write_bytes(page_pdf([(61, 700, "Something else.")]))
    found = cited_page(place_of(hit), documents, pictures)
    assert found.stale and found.picture is not None
    assert frame_in(pictures, found.picture.url) is None


def test_a_page_that_cannot_be_drawn_any_more_is_said_and_its_words_stay(documents: Documents, tmp_path: Path) -> None:
    hit = hit_in(documents, "k3.pdf")
    (tmp_path / "kb" / "k3.pdf").write_bytes(b"%PDF-1.7 broken")
    found = cited_page(place_of(hit), documents, Pictures())
    assert found.stale and found.picture is None and "cannot be shown" in found.note

"""Pages as pictures: what is framed, what a changed file says, and pages of odd sizes."""

import io
from pathlib import Path

import pytest
from PIL import Image

from lorgnette.page_pictures import MAX_PNG_BYTES, PagePictures, best_sentence
from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Hit
from retrieval.regions.locate import PageMissing, Placement
from retrieval.settings import RetrievalSettings
from tests.retrieval.regions.page_pdf import page_pdf

FRAME = (0xD5, 0x5E, 0x00)
RED = (0xB0, 0x00, 0x20)


def shown(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def box_of(image: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Where pixels of just this colour lie, in thousandths."""
    mask = Image.new("L", image.size)
    pixels = image.tobytes()
    mask.putdata([255 * (tuple(pixels[n : n + 3]) == colour) for n in range(0, len(pixels), 3)])
    box = mask.getbbox()
    width, height = image.size
    return box and (
        round(1000 * box[0] / width), round(1000 * box[1] / height),
        round(1000 * box[2] / width), round(1000 * box[3] / height),
    )  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> KnowledgeBase:
    (tmp_path / "kb").mkdir()
    texts = [(61, 700, "The K3 is a microscope."), (61, 600, "Its warranty lasts 36 months."), (61, 500, "It is grey.")]
    (tmp_path / "kb" / "k3.pdf").write_bytes(page_pdf(texts))
    (tmp_path / "kb" / "notes.md").write_text("The warranty is a good one.\n", "utf-8")
    base = KnowledgeBase(RetrievalSettings(kb=tmp_path / "kb", embedder="none-of-ours"), tmp_path / "home")
    base.sync()
    return base


def hit_in(base: KnowledgeBase, source: str) -> Hit:
    return next(hit for hit in base.search("warranty", 5).hits if hit.source == source)


def test_the_sentence_that_answers_is_framed_on_the_page(base: KnowledgeBase, tmp_path: Path) -> None:
    hit = hit_in(base, "k3.pdf")
    (sentence,) = base.locate(best_sentence(hit, "How long is the warranty? 36 months")).regions
    box = box_of(shown(PagePictures(base, tmp_path / "pages").of_cited(hit, "How long is the warranty?")), FRAME)
    assert box is not None
    for found, wanted in zip(box, (sentence.x1, sentence.y1, sentence.x2, sentence.y2), strict=True):
        assert abs(found - wanted) <= 6
    assert 200 < sentence.y1 < 300


def test_without_words_every_line_of_the_passage_is_framed(base: KnowledgeBase, tmp_path: Path) -> None:
    box = box_of(shown(PagePictures(base, tmp_path / "pages").of_cited(hit_in(base, "k3.pdf"))), FRAME)
    assert box is not None and box[1] < 120 and box[3] > 360


def test_a_file_that_changed_says_so_and_frames_nothing(base: KnowledgeBase, tmp_path: Path) -> None:
    hit, pictures = hit_in(base, "k3.pdf"), PagePictures(base, tmp_path / "pages")
    before = shown(pictures.of_cited(hit))
    (base.folder / "k3.pdf").write_bytes(page_pdf([(61, 700, "Quite another text stands here now.")]))
    after = shown(pictures.of_cited(hit))
    assert box_of(before, RED) is None and box_of(before, FRAME) is not None
    assert box_of(after, RED) is not None and box_of(after, FRAME) is None


def test_a_page_is_drawn_once_and_kept(base: KnowledgeBase, tmp_path: Path) -> None:
    pictures = PagePictures(base, tmp_path / "pages")
    first = pictures.of_page("k3.pdf", 1)
    kept = list((tmp_path / "pages").iterdir())
    assert pictures.of_page("k3.pdf", 1) == first and list((tmp_path / "pages").iterdir()) == kept


@pytest.mark.parametrize(("source", "page"), [("k3.pdf", 2), ("k3.pdf", 0), ("notes.md", 1), ("nothing.pdf", 1)])
def test_what_has_no_such_page_is_told_with_what_to_do(source: str, page: int, base: KnowledgeBase) -> None:
    with pytest.raises(PageMissing, match=r"cannot be shown: .*; name another page, or read"):
        PagePictures(base).of_page(source, page)


@pytest.mark.parametrize("size", [(1, 1), (3, 28_346), (28_346, 28_346)])  # points: 28,346 are ten metres
def test_pages_of_a_point_and_of_ten_metres_are_drawn_within_bounds(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "odd.pdf").write_bytes(page_pdf([(0, 0, "Warranty of odd pages lasts.")], size=size))
    base = KnowledgeBase(RetrievalSettings(kb=tmp_path / "kb", embedder="none-of-ours"), tmp_path / "home")
    base.sync()
    png = PagePictures(base, tmp_path / "pages").of_page("odd.pdf", 1)
    assert len(png) <= MAX_PNG_BYTES and max(shown(png).size) <= 1_700


def test_the_best_sentence_keeps_its_characters() -> None:
    text = "It is grey. The warranty lasts 3.5 years. It weighs 2 kg."
    best = best_sentence(Placement("a.pdf", 1, 100, 100 + len(text), text), "warranty 3.5 years")
    assert best.text.strip() == "The warranty lasts 3.5 years."
    assert text[best.start - 100 : best.end - 100] == best.text


def test_a_heading_is_no_part_of_the_sentence_under_it() -> None:
    text = "Warranty of the K3\nThe warranty of the microscope lasts 36 months from the\nday of delivery. It is long."
    best = best_sentence(Placement("a.pdf", 1, 0, len(text), text), "How long is the warranty? 36 months")
    assert best.text == "The warranty of the microscope lasts 36 months from the\nday of delivery."


def test_a_sentence_goes_before_a_heading_with_the_same_words() -> None:
    text = (
        "Warranty terms of the K3\nThe warranty of the field microscope K3 lasts 36 months from the day of\ndelivery."
    )
    best = best_sentence(Placement("a.pdf", 1, 0, len(text), text), "How long is the warranty of the K3?")
    assert best.text.split() == text.partition("\n")[2].split()

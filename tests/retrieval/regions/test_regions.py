"""Where a passage stands on its page: pages written by hand, whose boxes can be computed by hand."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Hit, Line, Region
from retrieval.regions.letters import Letter, lines
from retrieval.regions.ocr_lines import letters_of
from retrieval.settings import RetrievalSettings
from tests.retrieval.regions.page_pdf import page_pdf

CROPPED = "/CropBox [100 392 612 792]"
COLUMNS = [
    *((50, 700 - 20 * n, f"left column line number {n} of the text") for n in range(5)),
    *((330, 700 - 20 * n, f"right column words in line {n} of it") for n in range(5)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kb").mkdir()
    return tmp_path / "kb"


def synced(folder: Path) -> KnowledgeBase:
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="none-of-ours"), folder.parent / "home")
    base.sync()
    return base


def only_hit(base: KnowledgeBase, query: str) -> Hit:
    return next(hit for hit in base.search(query, 1).hits)


def part(hit: Hit, words: str) -> Hit:
    """Narrow a hit to some of its words."""
    at = hit.text.index(words)
    return Hit(**{**vars(hit), "text": words, "start": hit.start + at, "end": hit.start + at + len(words)})


def assert_near(region: Region, x1: float, y1: float, x2: float, y2: float, by: float = 6) -> None:
    for found, wanted in zip((region.x1, region.y1, region.x2, region.y2), (x1, y1, x2, y2), strict=True):
        assert abs(found - wanted) <= by, (region, (x1, y1, x2, y2))


def test_a_line_of_a_pdf_is_framed_in_thousandths_from_the_upper_left_corner(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(page_pdf([(61, 700, "The warranty lasts 36 months."), (61, 600, "Another line.")]))
    base = synced(folder)
    (region,) = base.locate(part(only_hit(base, "warranty"), "The warranty lasts 36 months.")).regions
    # The baseline is 92 of 792 points below the upper edge; capitals of Helvetica are 0.72 of 14 points high.
    assert_near(region, 100, (792 - 700 - 10) / 0.792, 400, (792 - 700 + 3) / 0.792, by=12)


def test_of_a_line_only_the_words_of_the_citation_are_framed(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(page_pdf([(61, 700, "iiiiiiiiii warranty iiiiiiiiii")]))
    base = synced(folder)
    hit = only_hit(base, "warranty")
    (whole,), (word,) = base.locate(hit).regions, base.locate(part(hit, "warranty")).regions
    assert whole.x1 < word.x1 < word.x2 < whole.x2


def test_a_comma_and_a_wide_blank_do_not_end_a_line(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(page_pdf([(61, 700, "were, the lamp,  and   were cleaned, nor damage.")]))
    base = synced(folder)
    assert len(base.locate(only_hit(base, "lamp damage")).regions) == 1


def test_the_same_words_twice_on_a_page_are_told_apart_by_what_stands_before_them(folder: Path) -> None:
    texts = [(61, 700 - 20 * n, f"pump {n} is checked every month by us") for n in range(3)]
    (folder / "a.pdf").write_bytes(page_pdf(texts))
    base = synced(folder)
    hit = only_hit(base, "pump")
    tops = []
    for n in range(3):
        at = hit.text.index(f"pump {n}") + len(f"pump {n} ")
        cited = Hit(
            **{**vars(hit), "text": "is checked every month", "start": hit.start + at, "end": hit.start + at + 22}
        )
        tops.append(base.locate(cited).regions[0].y1)
    chunk_is_whole = len(hit.text) > 100
    assert chunk_is_whole
    assert tops == sorted(tops)


@pytest.mark.parametrize(
    ("rotate", "wanted"),
    [
        (0, (100, 103, 400, 120)),
        (90, (880, 100, 897, 400)),
        (180, (600, 880, 900, 897)),
        (270, (103, 600, 120, 900)),
    ],
)
def test_regions_are_those_of_the_page_as_it_is_turned(
    rotate: int, wanted: tuple[int, int, int, int], folder: Path
) -> None:
    (folder / "a.pdf").write_bytes(page_pdf([(61, 700, "The warranty lasts 36 months.")], f"/Rotate {rotate}"))
    base = synced(folder)
    (region,) = base.locate(only_hit(base, "warranty")).regions
    assert_near(region, *wanted, by=15)


def test_regions_are_those_of_the_crop_box_and_what_it_hides_has_none(folder: Path) -> None:
    texts = [(151, 700, "The warranty lasts 36 months."), (151, 300, "Nobody is shown these hidden words.")]
    (folder / "a.pdf").write_bytes(page_pdf(texts, CROPPED))
    base = synced(folder)
    hit = only_hit(base, "warranty")
    (region,) = base.locate(part(hit, "The warranty lasts 36 months.")).regions
    assert_near(region, (151 - 100) / 0.512, (792 - 700 - 10) / 0.4, 450, (792 - 700 + 3) / 0.4, by=20)
    assert "hidden" not in hit.text or base.locate(part(hit, "Nobody is shown these hidden words.")).regions == ()


def test_two_columns_are_framed_line_by_line_and_not_across_the_gutter(folder: Path) -> None:
    rows = sorted(COLUMNS, key=lambda text: -text[1])  # drawn row by row
    (folder / "a.pdf").write_bytes(page_pdf(rows))
    base = synced(folder)
    regions = base.locate(only_hit(base, "column")).regions
    assert len(regions) == 10
    assert all(region.x2 < 520 or region.x1 > 520 for region in regions)


@pytest.mark.parametrize("degrees", [0, 30])
def test_chinese_of_a_font_that_is_not_in_the_file_fills_its_squares(degrees: int, folder: Path) -> None:
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfgen.canvas import Canvas

    registerFont(UnicodeCIDFont("STSong-Light"))
    canvas: Any = Canvas(str(folder / "a.pdf"), pagesize=(1_000, 1_000))
    canvas.setFont("STSong-Light", 20)
    canvas.translate(300, 400)
    canvas.rotate(degrees)
    canvas.drawString(0, 0, "显微镜保修")
    canvas.save()
    base = synced(folder)
    (region,) = base.locate(only_hit(base, "显微镜")).regions
    # Five squares of 20 points from 0.12 of it below the line to 0.88 above it, turned, seen from above.
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    corners = [complex(300, 400) + turn * complex(u, v) for u in (0.0, 100.0) for v in (-2.4, 17.6)]
    xs, ys = [one.real for one in corners], [1_000 - one.imag for one in corners]
    # Where the machine has such a font the signs have ink, which fills their squares nearly.
    assert_near(region, min(xs), min(ys), max(xs), max(ys), by=3)


def test_a_file_that_changed_after_indexing_frames_nothing(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(page_pdf([(61, 700, "The warranty lasts 36 months.")]))
    base = synced(folder)
    hit = only_hit(base, "warranty")
    (folder / "a.pdf").write_bytes(page_pdf([(61, 500, "The warranty lasts 12 months, no more.")]))
    assert base.locate(hit).regions == ()


def test_verification_says_of_regions_that_they_are_exact_moved_changed_or_gone(folder: Path) -> None:
    pdf = folder / "a.pdf"
    pdf.write_bytes(page_pdf([(61, 700, "The warranty lasts 36 months from the day of delivery.")]))
    base = synced(folder)
    hit = only_hit(base, "warranty")
    regions = base.locate(hit).regions
    assert (base.verify(hit).regions_status, base.verify(hit, regions).regions_status) == ("exact", "exact")
    pdf.write_bytes(page_pdf([(61, 400, "The warranty lasts 36 months from the day of delivery.")]))
    moved = base.verify(hit, regions)
    assert (moved.status, moved.regions_status, len(moved.regions)) == ("exact", "moved", 1)
    pdf.write_bytes(page_pdf([(61, 700, "The warranty lasts 12 months from the day of delivery.")]))
    assert base.verify(hit, regions).regions_status == "changed"
    pdf.write_bytes(page_pdf([(61, 700, "Nothing of it is left here.")]))
    assert base.verify(hit, regions).regions_status == "gone"


@pytest.mark.heavy
def test_words_of_a_scan_are_framed_by_the_lines_that_ocr_read_and_kept(folder: Path) -> None:
    image = Image.new("RGB", (1_000, 1_000), "white")
    ImageDraw.Draw(image).text((100, 200), "Invoice number 4711", "black", ImageFont.load_default(64))
    ink = ImageOps.invert(image.convert("L")).getbbox()
    assert ink is not None
    image.save(folder / "scan.pdf", "PDF", resolution=150)
    ImageDraw.Draw(image).text((100, 500), "Paid", "black", ImageFont.load_default(64))
    image.save(folder / "photo.png")
    base = synced(folder)
    hits = {hit.source: hit for hit in base.search("invoice", 5).hits}
    for source in ("scan.pdf", "photo.png"):
        region = base.locate(hits[source]).regions[0]
        assert_near(region, *ink, by=4)
        assert base.verify(hits[source]).regions_status == "exact"
    assert len(list((base.place / "lines").iterdir())) == 2
    (folder / "scan.pdf").unlink()
    base.sync()
    assert len(list((base.place / "lines").iterdir())) == 1


TYPED = (
    "The warranty of the microscope lasts three years.",
    "Will it fill? It will, if it is filled in July.",
    "Mr William Wilmington, 11 Hill Lane",
    "Total amount due in May: EUR 1,119.00",
    "Invoice No. INV-2024-0117, Date 03/05/2024",
)


@pytest.mark.parametrize("font", ["Times-Roman", "Helvetica", "Courier"])
def test_words_of_a_line_that_ocr_read_are_framed_where_narrow_and_wide_letters_put_them(font: str) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    def at(words: str) -> float:
        return 100 + stringWidth(words, font, 16)

    read = [Line(text, Region(1, 100, 100 + 40 * n, at(text), 120 + 40 * n)) for n, text in enumerate(TYPED)]
    letters = list(letters_of(read))
    for number, text in enumerate(TYPED):
        own = [one for one in letters if one.line == number]
        for word in re.finditer(r"\S{4,}", text):
            before = sum(not sign.isspace() for sign in text[: word.start()])
            found = own[before].region.x1, own[before + len(word[0]) - 1].region.x2
            true = at(text[: word.start()]), at(text[: word.end()])
            shared = min(found[1], true[1]) - max(found[0], true[0])
            assert 2 * shared / (found[1] - found[0] + true[1] - true[0]) > 0.8, (word[0], found, true)


@pytest.mark.heavy
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_picture_that_lies_on_its_side_is_framed_where_it_lies(degrees: int, folder: Path) -> None:
    image = Image.new("RGB", (1_000, 1_000), "white")
    for n, words in enumerate(("Invoice number 4711", "Total amount 99 euro", "Payable in 30 days")):
        ImageDraw.Draw(image).text((100, 100 + 100 * n), words, "black", ImageFont.load_default(56))
    image.rotate(degrees, expand=True).save(folder / "photo.png")
    base = synced(folder)
    regions = base.locate(only_hit(base, "invoice number")).regions
    side = {90: lambda r: r.x2 < 450, 180: lambda r: r.y1 > 550, 270: lambda r: r.x1 > 550}[degrees]
    assert len(regions) == 3 and all(side(region) for region in regions)


def test_documents_without_pages_name_the_nearest_place(folder: Path) -> None:
    (folder / "a.csv").write_text("name,price\nlamp,12\npump,99\n")
    (folder / "b.html").write_text("<p>Nothing is here.</p><p>A thermometer hangs there.</p>")
    base = synced(folder)
    hits = {hit.source: hit for hit in base.search("pump thermometer", 5).hits}
    assert base.locate(part(hits["a.csv"], "pump,99")).place == "line 3"
    assert base.locate(part(hits["b.html"], "A thermometer hangs there.")).place == "paragraph 2"
    assert base.locate(hits["a.csv"]).regions == ()


def test_five_thousand_lines_are_framed_by_few_enough_regions_and_none_is_left_out() -> None:
    letters = [Letter("a", Region(1, 0, n / 5, 0.1, n / 5 + 0.1)) for n in range(0, 5_000)]
    # Each stands beside a far letter, so that none joins its neighbour.
    apart = [
        one for pair in zip(letters, [Letter("b", Region(1, 900, 0, 901, 1))] * 5_000, strict=True) for one in pair
    ]
    found = lines(apart)
    assert 0 < len(found) <= 200
    assert min(one.y1 for one in found) == 0 and max(one.y2 for one in found) >= 999.9

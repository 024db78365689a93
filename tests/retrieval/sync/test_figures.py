"""Figures inside documents: found, described where there is a model, found again by what it said, and shown."""

import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Hit
from retrieval.regions.figures import figures_in
from retrieval.settings import RetrievalSettings
from retrieval.sync.captions import Caption, CaptionerUnavailable, CaptionFailed

RED, BLUE, LOGO = (
    Image.new("RGB", size, colour) for size, colour in (((400, 300), "red"), ((300, 300), "blue"), ((40, 40), "green"))
)


class Captioner:
    """Names a picture's colour; raises what it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked, self.error = 0, error

    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        self.asked += 1
        if self.error is not None:
            raise self.error
        red, _, blue = picture.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        return Caption("A crimson chart." if red > blue else "An azure square.", "fake")


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pdf() -> bytes:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=(600, 800))
    for colour in (RED, BLUE):
        canvas.drawString(60, 700, "Words of the report.")
        canvas.drawImage(ImageReader(colour), 60, 400, 180, 160)  # too small to be read by OCR
        canvas.drawImage(ImageReader(LOGO), 500, 700, 20, 20)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def docx() -> bytes:
    import docx as word

    document, buffer = word.Document(), io.BytesIO()
    document.add_paragraph("Words of the letter.")
    for image in (RED, LOGO, BLUE, RED):
        document.add_picture(io.BytesIO(png(image)))
    document.save(buffer)
    return buffer.getvalue()


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    slides, buffer = Presentation(), io.BytesIO()
    for image in (RED, BLUE):
        slide = slides.slides.add_slide(slides.slide_layouts[5])
        slide.shapes.title.text = "Words of the slide"
        slide.shapes.add_picture(io.BytesIO(png(image)), Inches(1), Inches(2))
    slides.save(buffer)
    return buffer.getvalue()


def odt(first: Image.Image = RED) -> bytes:
    head = (
        '<office:document-content xmlns:office="o" xmlns:text="t" xmlns:draw="d" xmlns:xlink="x"><office:body>'
        "<office:text><text:p>Words of the note.</text:p>"
    )
    frame = '<text:p><draw:frame><draw:image xlink:href="Pictures/{}.png"/></draw:frame></text:p>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        names = ("1", "2")
        body = "".join(frame.format(name) for name in names)
        archive.writestr("content.xml", f"{head}{body}</office:text></office:body></office:document-content>")
        for name, image in zip(names, (first, BLUE), strict=True):
            archive.writestr(f"Pictures/{name}.png", png(image))
    return buffer.getvalue()


CHAPTER = (
    "<html><body><p>Words of the book.</p><figure><img src='../art/red%20one.png' alt='not this'/>"
    "<figcaption>The <b>mill</b> at dusk</figcaption></figure><p><img alt='A pond' src='../art/blue.png'/></p>"
    "<img src='../art/gone.png'/><img src='../../../etc/passwd'/><img src='http://a.test/x.png'/>"
    "<svg><image xlink:href='../art/red%20one.png'/></svg><img src='../art/broken.png'/><img src='../art/d.svg'/>"
    "</body></html>"
)


def epub(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<container><rootfile full-path="in/b.opf"/></container>')
        archive.writestr(
            "in/b.opf",
            '<package><manifest><item id="a" href="text/one%201.xhtml"/></manifest>'
            '<spine><itemref idref="a"/></spine></package>',
        )
        archive.writestr("in/text/one 1.xhtml", CHAPTER)
        inside = {"red one.png": png(RED), "blue.png": png(BLUE), "broken.png": png(RED)[:200], "d.svg": b"<svg/>"}
        for name, data in (inside | parts).items():
            archive.writestr(f"in/art/{name}", data)
    return buffer.getvalue()


MADE: dict[str, Callable[[], bytes]] = {"r.pdf": pdf, "l.docx": docx, "s.pptx": pptx, "n.odt": odt}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kb").mkdir()
    return tmp_path / "kb"


def opened(folder: Path) -> KnowledgeBase:
    return KnowledgeBase(RetrievalSettings(kb=folder, embedder="none-of-ours", reranker="none"), folder.parent / "home")


def hit(base: KnowledgeBase, query: str) -> Hit:
    return base.search(query, 1).hits[0]


@pytest.mark.parametrize("name", MADE)
def test_the_figures_of_a_document_are_captioned_and_found_by_it(name: str, folder: Path) -> None:
    (folder / name).write_bytes(MADE[name]())
    base, captioner = opened(folder), Captioner()
    base.sync()
    (made,) = base.captions(captioner)
    assert (made.source, made.problem, captioner.asked) == (name, "", 2)
    found = hit(base, "crimson chart")
    assert (found.source, found.headings, found.text) == (name, ("figure", "1"), "Caption by fake: A crimson chart.")
    second = hit(base, "azure")
    assert second.headings == ("figure", "2")
    paged = name in ("r.pdf", "s.pptx")
    assert (found.page, second.page) == ((1, 2) if paged else (None, None))
    where = base.locate(second)
    assert where.place == {"r.pdf": "page 2, figure 2", "s.pptx": "slide 2, figure 2"}.get(name, "figure 2")
    assert base.verify(second).status == "exact"
    assert list(base.captions(captioner)) == [] and captioner.asked == 2
    base.close()


def test_a_picture_of_a_book_is_found_by_what_stands_under_it_and_by_its_caption(folder: Path) -> None:
    (folder / "b.epub").write_bytes(epub())
    base, captioner = opened(folder), Captioner()
    base.sync()
    row = base.catalogue.file("b.epub")
    assert row is not None and sorted(note.split(" (not a whole")[0] for note in row.notes) == [
        "drawings in it were not read (SVG, 1)",
        "its picture ../etc/passwd is missing",
        "its picture in/art/broken.png could not be read",
        "its picture in/art/gone.png is missing",
    ]
    (made,) = base.captions(captioner)
    assert (made.source, made.problem, captioner.asked) == ("b.epub", "", 2)
    mill, pond = hit(base, "crimson chart"), hit(base, "azure square")
    assert (mill.headings, mill.text) == (("figure", "1"), "The mill at dusk\nCaption by fake: A crimson chart.")
    assert (pond.headings, pond.text) == (("figure", "2"), "A pond\nCaption by fake: An azure square.")
    assert base.locate(pond).place == "figure 2" and base.verify(pond).status == "exact"
    base.close()


def test_words_in_the_pictures_of_a_book_are_read_where_they_stand(folder: Path) -> None:
    sign = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(sign).text((40, 70), "Voltage 230 volts", fill="black", font=ImageFont.load_default(48))
    (folder / "b.epub").write_bytes(epub(**{"blue.png": png(sign)}))
    base = opened(folder)
    base.sync()
    assert "A pond\nVoltage 230 volts" in hit(base, "voltage").text
    base.close()


def test_a_book_that_unpacks_to_too_much_has_no_figures_and_a_reason(folder: Path) -> None:
    bomb = epub(**{"red one.png": b"\0" * 300_000_000})
    assert len(bomb) < 1_000_000 and list(figures_in(bomb, "book")) == []
    (folder / "b.epub").write_bytes(bomb)
    base = opened(folder)
    ((source, reason),) = base.sync().reasons
    assert source == "b.epub" and "its unpacked size in bytes" in reason
    base.close()


def test_a_figure_of_a_pdf_is_framed_on_its_page_and_shown_to_the_model(folder: Path) -> None:
    (folder / "r.pdf").write_bytes(pdf())
    base = opened(folder)
    base.sync()
    list(base.captions(Captioner()))
    found = hit(base, "azure square")
    (region,) = base.locate(found).regions
    assert (region.page, region.x1, region.y1, region.x2, region.y2) == (2, 100.0, 300.0, 400.0, 500.0)
    view = base.page_view(found)
    assert view is not None and view.page == 2 and view.part is not None and view.part.x1 < 100 < 400 < view.part.x2
    (folder / "r.pdf").write_bytes(pdf() + b"\n%changed")
    assert base.locate(found).regions == ()
    base.close()


def test_a_chart_that_is_drawn_of_lines_is_captioned_found_and_framed_as_pictures_are(folder: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=(600, 800))
    canvas.drawString(60, 700, "Words of the report.")
    canvas.setFillColorRGB(1, 0, 0)
    for n, high in enumerate((60, 150, 90, 120)):
        canvas.rect(120 + 70 * n, 400, 50, high, stroke=0, fill=1)
    canvas.line(110, 400, 400, 400)
    canvas.save()
    (folder / "c.pdf").write_bytes(buffer.getvalue())
    base = opened(folder)
    base.sync()
    list(base.captions(Captioner()))
    found = hit(base, "crimson chart")
    assert (found.source, found.page, found.headings) == ("c.pdf", 1, ("figure", "1"))
    (region,) = base.locate(found).regions
    assert [region.x1, region.y2] == pytest.approx([110 / 0.6, 400 / 0.8], abs=8)
    view = base.page_view(found)
    assert view is not None and view.part is not None and view.part.x1 <= region.x1
    base.close()


def test_captions_outlive_another_reading_of_the_same_bytes_without_a_model(folder: Path) -> None:
    (folder / "r.pdf").write_bytes(pdf())
    base, captioner = opened(folder), Captioner()
    base.sync()
    list(base.captions(captioner))
    (folder / "copy.pdf").write_bytes((folder / "r.pdf").read_bytes())
    base.sync(full=True)
    assert {row.source for row in base.catalogue.files()} == {"copy.pdf", "r.pdf"}
    copied = [chunk.headings for chunk in base.catalogue.chunks_in("copy.pdf")]
    assert copied[-2:] == [("figure", "1"), ("figure", "2")] and captioner.asked == 2
    base.close()


def test_a_figure_that_fails_is_told_and_tried_again(folder: Path) -> None:
    (folder / "r.pdf").write_bytes(pdf())
    base = opened(folder)
    base.sync()
    (made,) = base.captions(Captioner(CaptionFailed("it was too dark")))
    assert made.problem == "figure 2: it was too dark"
    (gone,) = base.captions(Captioner(CaptionerUnavailable("no model")))
    assert gone.problem == "no model"
    (again,) = base.captions(Captioner())
    assert again.problem == "" and hit(base, "crimson").headings == ("figure", "1")
    base.close()


def test_a_cancelled_document_goes_on_where_it_was_stopped(folder: Path) -> None:
    (folder / "r.pdf").write_bytes(pdf())
    base, cancel = opened(folder), threading.Event()
    base.sync()

    class Stopping(Captioner):
        def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
            if self.asked:
                cancel.set()
                raise CaptionFailed("cancelled")
            return super().caption(picture, sha256, cancel)

    list(base.captions(Stopping(), cancel))
    assert hit(base, "crimson").headings == ("figure", "1")
    captioner = Captioner()
    list(base.captions(captioner))
    assert captioner.asked == 1 and hit(base, "azure").headings == ("figure", "2")
    base.close()


def test_documents_without_figures_are_looked_at_once_and_are_no_news(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer)
    canvas.drawString(60, 700, "Words only.")
    canvas.save()
    (folder / "w.pdf").write_bytes(buffer.getvalue())
    base = opened(folder)
    base.sync()
    assert list(base.captions(Captioner())) == []
    monkeypatch.setattr("retrieval.knowledge_base.figures_in", lambda *_: pytest.fail("it was looked at again"))
    assert list(base.captions(Captioner())) == []
    base.close()


def test_a_picture_in_strips_is_one_figure_and_a_scan_is_none(folder: Path) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=(600, 800))
    for n in range(4):
        canvas.drawImage(ImageReader(RED), 60, 400 + 50 * n, 300, 50)
    canvas.showPage()
    canvas.drawImage(ImageReader(BLUE), 0, 0, 600, 800)
    canvas.save()
    (figure,) = figures_in(buffer.getvalue(), "pdf")
    assert figure.page == 1 and figure.region is not None and figure.region.y2 - figure.region.y1 == pytest.approx(250)


@pytest.mark.parametrize("media_type", ["pdf", "docx", "slides", "opendocument", "book"])
def test_what_is_damaged_has_no_figures(media_type: Any) -> None:
    assert list(figures_in(b"PK\x03\x04 broken", media_type)) == []
    assert list(figures_in(b"%PDF-1.4 broken", media_type)) == []


def test_words_in_the_pictures_of_an_open_document_are_read(folder: Path) -> None:
    sign = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(sign).text((40, 70), "Voltage 230 volts", fill="black", font=ImageFont.load_default(48))
    (folder / "n.odt").write_bytes(odt(sign))
    base = opened(folder)
    base.sync()
    assert "Voltage 230" in hit(base, "voltage").text
    base.close()

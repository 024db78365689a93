"""Writes what looks like paper around a sentence: PDF in its ways, scans, screenshots, several-page pictures."""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from benchmarks.documents.facts import FILLER, Fact

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

PAGE = (595, 842)  # points of A4
LINE_CHARS = 70


def _pdf(draw: "Callable[[Canvas, Fact], None]", *, rotation: int = 0) -> Callable[[Fact], bytes]:
    """Return a writer whose first page is about something else; the fact is on the second."""

    def write(fact: Fact) -> bytes:
        from reportlab.pdfgen.canvas import Canvas

        out = io.BytesIO()
        canvas = Canvas(out, PAGE)
        canvas.drawString(72, 760, f"About the {fact.other}")
        canvas.drawString(72, 740, FILLER)
        canvas.showPage()
        canvas.setPageRotation(rotation)
        draw(canvas, fact)
        canvas.showPage()
        canvas.save()
        return out.getvalue()

    return write


def _lines(canvas: "Canvas", x: float, y: float, lines: list[str], size: float = 11) -> None:
    canvas.setFont("Helvetica", size)
    for number, line in enumerate(lines):
        canvas.drawString(x, y - number * size * 1.3, line)


def _text(canvas: "Canvas", fact: Fact) -> None:
    _lines(canvas, 72, 760, [FILLER[:LINE_CHARS], fact.sentence, FILLER[:LINE_CHARS]])


def _columns(canvas: "Canvas", fact: Fact) -> None:
    words = fact.sentence.split()
    left = ["The left column says something", "about other things, and goes on", "for three lines without an end."]
    right = [" ".join(words[:4]), " ".join(words[4:7]), " ".join(words[7:])]
    for number, pair in enumerate(zip(left, right, strict=True)):
        for x, line in zip((72, 320), pair, strict=True):
            canvas.drawString(x, 700 - number * 14, line)


def _hyphenated(canvas: "Canvas", fact: Fact) -> None:
    head, tail = fact.name[: len(fact.name) // 2], fact.name[len(fact.name) // 2 :]
    _lines(
        canvas,
        72,
        760,
        [f"In this year the {fact.topic} of the {head}-", f"{tail} is {fact.value}.", FILLER[:LINE_CHARS]],
    )


def _ruled_table(canvas: "Canvas", fact: Fact) -> None:
    rows = (("Name", fact.topic), (fact.other, "unknown"), (fact.name, fact.value))
    canvas.grid([72, 272, 472], [700 - 24 * n for n in range(len(rows) + 1)])
    for number, cells in enumerate(rows):
        for x, cell in zip((78, 278), cells, strict=True):
            canvas.drawString(x, 684 - 24 * number, cell)


def _open_table(canvas: "Canvas", fact: Fact) -> None:
    for number, cells in enumerate((("Name", fact.topic), (fact.other, "unknown"), (fact.name, fact.value))):
        for x, cell in zip((78, 278), cells, strict=True):
            canvas.drawString(x, 684 - 24 * number, cell)


def _form(canvas: "Canvas", fact: Fact) -> None:
    canvas.drawString(72, 760, f"{fact.topic.capitalize()} of the {fact.name}:")
    canvas.acroForm.textfield(
        name=f"{fact.topic} of the {fact.name}", x=72, y=720, width=200, height=20, value=fact.value
    )


def _annotation(canvas: "Canvas", fact: Fact) -> None:
    canvas.drawString(72, 760, FILLER[:LINE_CHARS])
    canvas.textAnnotation(fact.sentence, Rect=(72, 700, 200, 740))


def _scan(canvas: "Canvas", fact: Fact) -> None:
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(_page(fact)), 0, 0, *PAGE)


def _stamped_scan(canvas: "Canvas", fact: Fact) -> None:
    _scan(canvas, fact)
    _lines(canvas, 72, 20, ["Scanned by CamScanner"], 8)


def _upside_down(canvas: "Canvas", fact: Fact) -> None:
    from reportlab.lib.utils import ImageReader

    canvas.drawImage(ImageReader(_page(fact).rotate(180)), 0, 0, *PAGE)


def _page(fact: Fact, size: tuple[int, int] = (1240, 1754)) -> Image.Image:
    page = Image.new("RGB", size, "white")
    font, draw = ImageFont.load_default(34), ImageDraw.Draw(page)
    for number, line in enumerate((FILLER[:60], fact.sentence, FILLER[:60])):
        draw.text((90, 200 + number * 80), line, fill="black", font=font)
    return page


def _picture(kind: str, size: tuple[int, int]) -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        out = io.BytesIO()
        _page(fact, size).save(out, kind)
        return out.getvalue()

    return write


def _tiff(fact: Fact) -> bytes:
    out, first = io.BytesIO(), Image.new("RGB", (1240, 400), "white")
    first.save(out, "TIFF", save_all=True, append_images=[_page(fact, (1240, 600))])
    return out.getvalue()


KINDS: Mapping[str, tuple[str, Callable[[Fact], bytes], int | None]] = {
    "pdf: text": ("pdf", _pdf(_text), 2),
    "pdf: columns": ("pdf", _pdf(_columns), 2),
    "pdf: hyphen at a line's end": ("pdf", _pdf(_hyphenated), 2),
    "pdf: ruled table": ("pdf", _pdf(_ruled_table), 2),
    "pdf: table without lines": ("pdf", _pdf(_open_table), 2),
    "pdf: rotated page": ("pdf", _pdf(_text, rotation=90), 2),
    "pdf: form": ("pdf", _pdf(_form), 2),
    "pdf: annotation": ("pdf", _pdf(_annotation), 2),
    "pdf: scan": ("pdf", _pdf(_scan), 2),
    "pdf: scan with a stamp": ("pdf", _pdf(_stamped_scan), 2),
    "pdf: scan upside down": ("pdf", _pdf(_upside_down), 2),
    "screenshot": ("png", _picture("PNG", (1240, 500)), None),
    "tall screenshot": ("png", _picture("PNG", (1240, 5000)), None),
    "photograph of a page": ("jpg", _picture("JPEG", (1240, 900)), None),
    "picture of several pages": ("tiff", _tiff, 2),
}
"""Ending, writer and the page to be cited, by kind."""

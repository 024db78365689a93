"""Draws pages of many kinds, and knows where each line's ink is. It reads none."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE = (595, 842)  # points
TRUE = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
Box = tuple[float, float, float, float]
Put = tuple[float, float, str]

ENGLISH = (
    "The warranty of the microscope lasts thirty-six months.",
    "Lenses are cleaned with a soft cloth and pure alcohol.",
    "Returns are accepted within fourteen days of delivery.",
    "The lamp must cool for ten minutes before it is changed.",
    "Every stage is calibrated against a certified ruler.",
    "Spare fuses are kept in the drawer under the base.",
    "Orders above two hundred euro are shipped for free.",
    "The camera writes pictures of twelve megapixels.",
)
SHORT = tuple(" ".join(line.split()[:5]) for line in ENGLISH)
LIGATURES = tuple(
    line.replace("fi", "\ufb01").replace("fl", "\ufb02")
    for line in ("The first filter is fixed by five fine fittings.", "A flat flange floats on the fluid inflow.",
                 "Final figures confirm the efficient workflow.", "The office files a finding on each refit.")
)  # fmt: skip
HEBREW = ("שלום לכולם וברוכים הבאים", "האחריות על המיקרוסקופ היא שלוש שנים", "יש לנקות את העדשות במטלית רכה")
CHINESE = (
    "显微镜的保修期为三十六个月。",
    "请用软布和纯酒精清洁镜头。",
    "收到货物后十四天内可以退货。",
    "更换灯泡前须冷却十分钟。",
)


@dataclass(frozen=True)
class Case:
    """A page as a file, and its lines with their true boxes in thousandths."""

    kind: str
    data: bytes
    lines: tuple[tuple[str, Box], ...]
    scan: bool = False


def cases() -> Iterator[Case]:
    """Draw all kinds."""
    single = [(60.0, 760.0 - 40 * n, line) for n, line in enumerate(ENGLISH)]
    yield _pdf("one column", single)
    columns = [(x, 760.0 - 22 * n, line) for n, line in enumerate(SHORT) for x in (40.0, 310.0)]
    columns = [(x, y, line if x < 300 else f"{SHORT[-1 - n // 2]} too") for n, (x, y, line) in enumerate(columns)]
    yield _pdf("two columns, drawn by rows", columns)
    for turned in (90, 180, 270):
        yield _pdf(f"page turned by {turned}", single, rotate=turned)
    yield _pdf("crop box", single, crop=(40, 400, 420, 800))
    yield _pdf("crop box, turned by 90", single, crop=(40, 400, 420, 800), rotate=90)
    yield _pdf("ligatures", [(60.0, 760.0 - 40 * n, line) for n, line in enumerate(LIGATURES)], font="DejaVu")
    right = [(540.0, 760.0 - 40 * n, line) for n, line in enumerate(HEBREW)]
    yield _pdf("right to left", right, font="DejaVu", right_to_left=True)
    chinese = [(60.0, 760.0 - 40 * n, line) for n, line in enumerate(CHINESE)]
    yield _pdf("Chinese, font not embedded", chinese, font="STSong-Light")
    for degrees in (0.0, 2.0, -5.0, 90.0):
        yield _scan(degrees)


def _pdf(
    kind: str,
    lines: Sequence[Put],
    *,
    font: str = "Helvetica",
    rotate: int = 0,
    crop: tuple[int, int, int, int] | None = None,
    right_to_left: bool = False,
) -> Case:
    def draw(chosen: Sequence[Put]) -> bytes:
        return _drawn(chosen, font, right_to_left)

    whole = _turned(draw(lines), rotate, crop)
    boxes: list[tuple[str, Box | None]]
    if font == "STSong-Light":  # a machine need not have a font to draw it with; its signs fill their squares
        boxes = [(line[2], _squares(line)) for line in lines]
    else:
        boxes = [(line[2], _ink(_turned(draw([line]), rotate, crop))) for line in lines]
    return Case(kind, whole, tuple((text, box) for text, box in boxes if box is not None))


def _drawn(lines: Sequence[Put], font: str, right_to_left: bool) -> bytes:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas

    if font == "DejaVu":
        pdfmetrics.registerFont(TTFont(font, TRUE))
    elif font == "STSong-Light":
        pdfmetrics.registerFont(UnicodeCIDFont(font))
    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=SIZE)
    canvas.setFont(font, 12)
    for x, y, text in lines:
        if right_to_left:
            canvas.drawRightString(x, y, text[::-1])
        else:
            canvas.drawString(x, y, text)
    canvas.save()
    return buffer.getvalue()


def _turned(data: bytes, rotate: int, crop: tuple[int, int, int, int] | None) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    page = document[0]
    if crop is not None:
        page.set_cropbox(*crop)
    page.set_rotation(rotate)
    page.close()
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def _squares(line: Put) -> Box | None:
    x, y, text = line
    edges = (x, SIZE[1] - y - 0.88 * 12, x + 12 * len(text), SIZE[1] - y + 0.12 * 12)
    x1, y1, x2, y2 = (1_000 * edge / side for edge, side in zip(edges, (*SIZE, *SIZE), strict=True))
    return x1, y1, x2, y2


def _ink(data: bytes) -> Box | None:
    """Return where a page is not white, in thousandths."""
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    image = document[0].render(scale=3).to_pil().convert("L")
    box = image.point(lambda grey: 255 * (grey < 160)).getbbox()
    document.close()
    return box and _thousandths(box, image.size)


def _scan(degrees: float) -> Case:
    size = (1_240, 1_754)  # A4 at 150 dpi
    font = ImageFont.truetype(TRUE, 26)
    places = [(120, 160 + 110 * n) for n in range(len(ENGLISH))]

    def draw(lines: Sequence[tuple[tuple[int, int], str]]) -> Image.Image:
        image = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(image)
        for place, text in lines:
            pen.text(place, text, "black", font)
        return image.rotate(degrees, expand=degrees % 90 == 0, fillcolor="white", resample=Image.Resampling.BICUBIC)

    page = draw(list(zip(places, ENGLISH, strict=True)))
    lines = []
    for place, text in zip(places, ENGLISH, strict=True):
        alone = draw([(place, text)]).convert("L")
        box = alone.point(lambda grey: 255 * (grey < 160)).getbbox()
        assert box is not None, "a line has ink"
        lines.append((text, _thousandths(box, alone.size)))
    buffer = io.BytesIO()
    page.save(buffer, "PDF", resolution=150)
    return Case(f"scan at {degrees:g} degrees", buffer.getvalue(), tuple(lines), scan=True)


def _thousandths(box: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    width, height = size
    return 1_000 * box[0] / width, 1_000 * box[1] / height, 1_000 * box[2] / width, 1_000 * box[3] / height


def chart_page(seed: int) -> tuple[bytes, Box]:
    """Draw a page of words with one bar chart among them; returns it with the chart's true box in thousandths."""
    import random

    from reportlab.pdfgen.canvas import Canvas

    chance = random.Random(seed)
    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=SIZE)
    canvas.setFont("Helvetica", 11)
    bottom, width, height = chance.choice((150.0, 330.0, 500.0)), chance.uniform(200, 380), chance.uniform(110, 170)
    left = chance.uniform(60, 535 - width)
    y = 780.0
    while y > 60:
        if not bottom - 45 < y < bottom + height + 40:
            canvas.drawString(60, y, chance.choice(ENGLISH))
        y -= 17
    canvas.drawString(left, bottom + height + 12, f"Turnover of division {seed} by region and year")
    canvas.line(left, bottom, left + width, bottom)
    canvas.line(left, bottom, left, bottom + height)
    for n in range(6):
        canvas.rect(left + (n + 0.3) * width / 6, bottom, width / 12, height * chance.uniform(0.2, 1), fill=1)
        canvas.drawString(left + (n + 0.2) * width / 6, bottom - 14, f"R{n + 1}")
    canvas.save()
    top = SIZE[1] - bottom - height
    edges = (left, top, left + width, SIZE[1] - bottom)
    x1, y1, x2, y2 = (1_000 * edge / side for edge, side in zip(edges, (*SIZE, *SIZE), strict=True))
    return buffer.getvalue(), (x1, y1, x2, y2)


def table_page(seed: int) -> bytes:
    """Draw a page of words with one table among them: ruled, on grounds, with a head, with joined cells."""
    import random

    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Table

    chance = random.Random(seed)
    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=SIZE)
    canvas.setFont("Helvetica", 11)
    columns, rows = chance.randrange(2, 7), chance.randrange(3, 12)
    cells = [
        [f"{chance.choice(ENGLISH).split()[n % 7]} {chance.randrange(99)}" for n in range(columns)] for _ in range(rows)
    ]
    styles: list[list[Any]] = [
        [("GRID", (0, 0), (-1, -1), 0.5, "black")],
        [("LINEBELOW", (0, 0), (-1, -1), 1, "grey"), ("BACKGROUND", (0, 0), (-1, 0), "lightgrey")],
        [("ROWBACKGROUNDS", (0, 0), (-1, -1), ["lightblue", "white"]), ("BOX", (0, 0), (-1, -1), 1, "black")],
        [("GRID", (0, 0), (-1, -1), 1, "black"), ("SPAN", (0, 0), (1, 0)), ("BACKGROUND", (0, 0), (-1, -1), "beige")],
    ]
    table = Table(cells, rowHeights=22, style=styles[seed % len(styles)])
    _, height = table.wrapOn(canvas, 480, 600)
    table.drawOn(canvas, 60, 420 - height / 2)
    for y in (780, 763, 746, 90, 73, 56):
        canvas.drawString(60, y, chance.choice(ENGLISH))
    canvas.save()
    return buffer.getvalue()


def f1(found: Sequence[Box], true: Box, area: Callable[[Box], float] = lambda box: _area(box)) -> float:
    """Return the F1 of the pixels of regions that do not overlap against one box."""
    shared = sum(area(_shared(one, true)) for one in found)
    whole = sum(map(area, found)) + area(true)
    return 2 * shared / whole if whole and not math.isnan(whole) else 0.0


def inside(found: Box, true: Box) -> float:
    """Return how much of the true box lies in the one that was found, 0 to 1."""
    return _area(_shared(found, true)) / _area(true)


def _shared(a: Box, b: Box) -> Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])

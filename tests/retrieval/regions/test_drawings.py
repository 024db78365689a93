"""Drawings of lines and shapes on a PDF's page: charts and diagrams are figures, tables and decoration are none."""

import io
import math
import random
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pypdfium2
import pytest
from reportlab.graphics import renderPDF
from reportlab.graphics.charts.barcharts import HorizontalBarChart, VerticalBarChart
from reportlab.graphics.charts.lineplots import LinePlot, ScatterPlot
from reportlab.graphics.charts.piecharts import Pie
from reportlab.graphics.shapes import Drawing
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Table, TableStyle

from retrieval.regions.figures import figures_in
from retrieval.regions.pdf_graphics import graphics_on

WIDTH, HEIGHT = 600, 800


def pdf(draw: Callable[[Any], None], size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """One page with a paragraph at its head and one at its foot, under a rule, and what is drawn between them."""
    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=size)
    for n in range(4):
        canvas.drawString(
            60, size[1] - 60 - 14 * n, "Sales grew in the second year, as the report of the board says, and"
        )
        canvas.drawString(60, 100 - 14 * n, "they fell again in the third, for reasons that are told below in full.")
    canvas.line(60, size[1] - 40, size[0] - 60, size[1] - 40)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def shown(chart: Any) -> Callable[[Any], None]:
    def draw(canvas: Any) -> None:
        chart.x, chart.y, chart.width, chart.height = 40, 40, 280, 180
        drawing = Drawing(360, 260)
        drawing.add(chart)
        renderPDF.draw(drawing, canvas, 100, 300)

    return draw


def line_plot() -> Any:
    chart: Any = LinePlot()
    chart.data = [[(1, 4), (2, 9), (3, 2), (4, 7)]]
    return chart


def bars(kind: type, data: list[list[float]]) -> Any:
    chart: Any = kind()
    chart.data = data
    chart.categoryAxis.categoryNames = ["North", "South", "East", "West"]
    return chart


def pie() -> Any:
    chart: Any = Pie()
    chart.data, chart.labels = [3, 5, 2], ["a", "b", "c"]
    return chart


def scatter() -> Any:
    chart: Any = ScatterPlot()
    chance = random.Random(4)
    chart.data = [[(chance.random(), chance.random()) for _ in range(25)]]
    return chart


def sine(canvas: Any) -> None:
    """Axes and a curve of many short lines, without a frame."""
    canvas.line(140, 340, 140, 520)
    canvas.line(140, 340, 420, 340)
    path = canvas.beginPath()
    path.moveTo(140, 430)
    for n in range(1, 200):
        path.lineTo(140 + 1.4 * n, 430 + 70 * math.sin(n / 20))
    canvas.drawPath(path)


def steps(canvas: Any) -> None:
    """A line of level and upright parts between axes with their ticks, as plots of Python draw them."""
    canvas.rect(140, 340, 280, 180)
    for n in range(6):
        canvas.line(135, 345 + 30 * n, 140, 345 + 30 * n)
        canvas.line(145 + 50 * n, 335, 145 + 50 * n, 340)
        canvas.line(145 + 45 * n, 360 + 20 * n, 190 + 45 * n, 360 + 20 * n)


def area(canvas: Any) -> None:
    path = canvas.beginPath()
    for n, (x, y) in enumerate(((140, 340), (140, 400), (280, 440), (420, 520), (420, 340))):
        (path.lineTo if n else path.moveTo)(x, y)
    path.close()
    canvas.drawPath(path, fill=1)


def flow(canvas: Any) -> None:
    """Three boxes with words, and arrows of level lines between them."""
    for n, word in enumerate(("Read", "Index", "Search")):
        canvas.rect(140 + 110 * n, 400, 80, 120)
        canvas.drawString(155 + 110 * n, 455, word)
        if n:
            canvas.line(110 + 110 * n, 460, 136 + 110 * n, 460)
            path = canvas.beginPath()
            path.moveTo(140 + 110 * n, 460)
            path.lineTo(134 + 110 * n, 464)
            path.lineTo(134 + 110 * n, 456)
            path.close()
            canvas.drawPath(path, fill=1)


DRAWINGS: dict[str, Callable[[Any], None]] = {
    "lines": shown(line_plot()),
    "bars": shown(bars(VerticalBarChart, [[13, 5, 20, 8]])),
    "grouped bars": shown(bars(VerticalBarChart, [[13, 5, 20, 8], [3, 15, 11, 9]])),
    "level bars": shown(bars(HorizontalBarChart, [[13, 5, 20, 8]])),
    "pie": shown(pie()),
    "scatter": shown(scatter()),
    "curve": sine,
    "steps": steps,
    "area": area,
    "flow": flow,
}


def table(style: list[Any], rows: int = 8, words: bool = True) -> Callable[[Any], None]:
    def draw(canvas: Any) -> None:
        cells = [[f"Item {r}", f"{r * 7}.50", "in stock", "Berlin"] if words else [""] * 4 for r in range(rows)]
        made = Table(cells, colWidths=[90, 70, 90, 80], rowHeights=24, style=TableStyle(style))
        made.wrapOn(canvas, 500, 500)
        made.drawOn(canvas, 120, 320)

    return draw


def framed_words(canvas: Any) -> None:
    canvas.roundRect(100, 300, 400, 180, 12)
    for n in range(8):
        canvas.drawString(120, 450 - 18 * n, "Mind the voltage before you open the case of the device.")


def form(canvas: Any) -> None:
    for n in range(6):
        canvas.drawString(80, 330 + 36 * n, f"Field {n}")
        canvas.rect(160, 322 + 36 * n, 300 - 40 * (n % 2), 22)


def underlines(canvas: Any) -> None:
    for n in range(9):
        canvas.drawString(80, 300 + 24 * n, "A sentence that somebody found important.")
        canvas.line(80, 297 + 24 * n, 200 + 20 * n, 297 + 24 * n)


def bullets(canvas: Any) -> None:
    for n in range(12):
        canvas.circle(90, 303 + 20 * n, 3, fill=1)
        canvas.drawString(100, 300 + 20 * n, "One of the points that the meeting agreed on.")


def checked(canvas: Any) -> None:
    table([("GRID", (0, 0), (-1, -1), 0.5, "black")])(canvas)
    for n in range(8):
        canvas.lines([(440, 330 + 24 * n, 443, 326 + 24 * n), (443, 326 + 24 * n, 448, 336 + 24 * n)])


def outlines(canvas: Any) -> None:
    """Words as outlines, as programs write them that give no fonts away."""
    chance = random.Random(1)
    for line in range(12):
        for n in range(40):
            x, y, high = 80 + 9 * n, 300 + 15 * line, chance.choice((5, 5, 5, 8, 9))
            path = canvas.beginPath()
            path.moveTo(x, y)
            path.curveTo(x, y + high, x + 6, y + high, x + chance.randrange(3, 7), y)
            canvas.drawPath(path, fill=1)


def border(canvas: Any) -> None:
    canvas.rect(20, 20, WIDTH - 40, HEIGHT - 40)
    canvas.line(20, 20, WIDTH - 20, HEIGHT - 20)


GRID = ("GRID", (0, 0), (-1, -1), 0.5, "black")
NO_DRAWINGS: dict[str, Callable[[Any], None]] = {
    "ruled table": table([GRID]),
    "table with lines": table([("LINEBELOW", (0, 0), (-1, -1), 0.5, "black")]),
    "table on grounds": table([("ROWBACKGROUNDS", (0, 0), (-1, -1), ["lightgrey", "white"])]),
    "table of filled cells": table(
        [GRID, ("BACKGROUND", (0, 0), (0, -1), "grey"), ("BACKGROUND", (1, 0), (-1, 0), "red")]
    ),
    "joined cells": table(
        [GRID, ("SPAN", (0, 0), (1, 0)), ("SPAN", (0, 1), (2, 1)), ("BACKGROUND", (0, 0), (-1, -1), "lightblue")]
    ),
    "table with nothing in it": table([GRID], words=False),
    "checked table": checked,
    "framed words": framed_words,
    "form": form,
    "underlines": underlines,
    "bullets": bullets,
    "outlines": outlines,
    "border": border,
    "nothing": lambda _: None,
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chart_that_is_drawn_of_lines_is_a_figure_with_its_labels_and_without_the_text(name: str) -> None:
    (figure,) = figures_in(pdf(DRAWINGS[name]), "pdf")
    region = figure.region
    assert figure.page == 1 and region is not None
    # What is drawn takes up x 140 to 420 and y 340 to 520 at least by half, and stands at most 60 thousandths in all.
    assert 100 <= region.x1 * 0.6 <= 260 and 330 <= region.x2 * 0.6 <= 470
    assert 250 <= region.y1 * 0.8 <= 360 and 370 <= region.y2 * 0.8 <= 520
    assert min(figure.image.convert("L").tobytes()) < 100, "something is to be seen"


@pytest.mark.parametrize("name", NO_DRAWINGS)
def test_tables_forms_and_decoration_are_no_figures(name: str) -> None:
    assert list(figures_in(pdf(NO_DRAWINGS[name]), "pdf")) == []


def test_two_charts_on_a_page_are_two_figures_and_a_table_beside_them_is_none() -> None:
    def draw(canvas: Any) -> None:
        canvas.translate(0, 150)
        DRAWINGS["lines"](canvas)
        canvas.translate(0, -240)
        DRAWINGS["pie"](canvas)
        canvas.translate(0, -90)
        table([GRID], rows=3)(canvas)

    first, second = figures_in(pdf(draw), "pdf")
    assert first.region is not None and second.region is not None
    assert first.region.y2 <= second.region.y1 + 60


def in_a_form(inner: bytes, scale: float, x: float, y: float) -> bytes:
    """Put a document's first page into another one, as programs embed charts."""
    source, target = pypdfium2.PdfDocument(inner), pypdfium2.PdfDocument.new()
    page = target.new_page(WIDTH, HEIGHT)
    thing = source.page_as_xobject(0, target).as_pageobject()
    thing.set_matrix(pypdfium2.PdfMatrix().scale(scale, scale).translate(x, y))
    page.insert_obj(thing)
    page.gen_content()
    buffer = io.BytesIO()
    target.save(buffer)
    for document in (source, target):
        document.close()
    return buffer.getvalue()


def test_a_chart_that_was_embedded_stands_where_it_is_seen() -> None:
    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=(400, 300))
    canvas.rect(0, 0, 400, 300)
    canvas.line(20, 20, 380, 280)
    canvas.save()
    data = in_a_form(buffer.getvalue(), 0.5, 100, 400)
    (figure,) = figures_in(data, "pdf")
    # 100 to 300 of 600 points, and 250 to 400 of 800 from above; a line has more on each side, and all of it a margin.
    assert figure.region is not None
    assert astuple(figure.region)[1:] == pytest.approx((161.7, 307.5, 505.0, 505.0), abs=1.5)
    _, shapes = graphics_on(data, 1)
    assert min(one.x1 for one in shapes) == pytest.approx(166.7, abs=1.5)


def test_a_drawing_of_more_paths_than_are_looked_at_is_still_found() -> None:
    def draw(canvas: Any) -> None:
        sine(canvas)
        chance = random.Random(2)
        for _ in range(7_000):
            x, y = 140 + 270 * chance.random(), 340 + 170 * chance.random()
            canvas.line(x, y, x + 9 * chance.random(), y + 9 * chance.random())

    assert len(list(figures_in(pdf(draw), "pdf"))) == 1

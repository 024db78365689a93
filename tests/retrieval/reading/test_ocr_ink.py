"""Boxes of lines that OCR found are narrowed to their ink, however they are turned and coloured."""

from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw

from retrieval.reading.ocr_ink import ink_corners

INK = (40, 30, 230, 50)
"""Left, upper, right, lower edge of what stands for a line of words."""
BOX = [(30, 20), (240, 20), (240, 60), (30, 60)]


def line(ink: int, ground: int) -> Image.Image:
    image = Image.new("L", (300, 100), ground)
    pen = ImageDraw.Draw(image)
    for x in range(INK[0], INK[2], 20):
        pen.rectangle((x, INK[1], x + 9, INK[3] - 1), fill=ink)
    return image


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0), (110, 160)])
def test_a_box_ends_where_the_ink_does(ink: int, ground: int) -> None:
    (x1, y1), _, (x2, y2), _ = ink_corners(line(ink, ground), BOX)
    assert [x1, y1, x2, y2] == [pytest.approx(at, abs=1) for at in INK]


def test_a_turned_box_stays_turned() -> None:
    turned = line(0, 255).rotate(90, expand=True)  # against the clock: x is y, y is 300 - x
    corners = ink_corners(turned, [(y, 300 - x) for x, y in BOX])
    assert [at for corner in corners for at in corner] == [
        pytest.approx(at, abs=1) for x, y in ((40, 30), (230, 30), (230, 50), (40, 50)) for at in (y, 300 - x)
    ]


def framed(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).rectangle((30, 20, 239, 59), outline=0)
    return image


def far(_: Image.Image) -> Image.Image:
    image = Image.new("L", (300, 100), 255)
    ImageDraw.Draw(image).rectangle((120, 56, 140, 59), fill=0)
    return image


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], tuple[float, ...]]] = {
    "a frame": (framed, (30, 20, 240, 60)),
    "no ink": (lambda _: Image.new("L", (300, 100), 200), (30, 20, 240, 60)),
    "faint specks": (lambda _: line(190, 200), (30, 20, 240, 60)),
    "ink far within": (far, (44, 34, 226, 60)),  # a rim is at most 0.35 of the height
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_no_rim_stays(name: str) -> None:
    change, wanted = CHANGES[name]
    (x1, y1), _, (x2, y2), _ = ink_corners(change(line(0, 255)), BOX)
    assert [x1, y1, x2, y2] == [pytest.approx(at, abs=1) for at in wanted]


def test_a_box_of_no_size_stays() -> None:
    assert ink_corners(line(0, 255), [(5, 5), (6, 5), (6, 6), (5, 6)]) == [(5, 5), (6, 5), (6, 6), (5, 6)]

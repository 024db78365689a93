"""Boxes drawn into pictures whose every pixel is known."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from graph.answer import Box
from lorgnette.box_drawing import COLOURS, boxes_png, draw_boxes
from model.pictures.open import open_picture

GREY = (128, 128, 128)


def box(label: str, x1: int, y1: int, x2: int, y2: int) -> Box:
    return Box(label=label, image=0, x1=x1, y1=y1, x2=x2, y2=y2)


def seen(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_each_box_is_framed_in_its_own_colour_and_the_rest_stays_as_it_was() -> None:
    picture = Image.new("RGB", (600, 400), GREY)
    drawn = draw_boxes(picture, [box("a", 100, 100, 200, 200), box("b", 300, 100, 400, 300)])
    assert drawn.size == picture.size and picture.getcolors() == [(600 * 400, GREY)]
    first, second = ImageColor.getrgb(COLOURS[0]), ImageColor.getrgb(COLOURS[1])
    assert drawn.getpixel((100, 150)) == drawn.getpixel((199, 150)) == drawn.getpixel((150, 199)) == first
    assert drawn.getpixel((300, 200)) == drawn.getpixel((399, 200)) == drawn.getpixel((350, 299)) == second
    assert drawn.getpixel((150, 150)) == drawn.getpixel((350, 200)) == drawn.getpixel((500, 350)) == GREY


def test_the_label_stands_above_its_box_and_inside_where_there_is_no_room_above() -> None:
    picture = Image.new("RGB", (600, 400), GREY)
    colour = ImageColor.getrgb(COLOURS[0])
    above = draw_boxes(picture, [box("cat", 100, 100, 300, 300)])
    inside = draw_boxes(picture, [box("cat", 100, 0, 300, 300)])
    assert above.getpixel((110, 97)) == colour and above.getpixel((110, 110)) == GREY
    assert inside.getpixel((110, 13)) == colour and inside.getpixel((110, 60)) == GREY


def test_no_two_of_the_first_boxes_share_a_colour() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == 8


def test_a_tiny_picture_is_enlarged_by_whole_pixels_with_its_box() -> None:
    picture = Image.new("RGB", (12, 9), GREY)
    drawn = draw_boxes(picture, [box("dot", 2, 4, 5, 6)])
    assert drawn.size == (480, 360)
    assert drawn.getpixel((2 * 40, 5 * 40)) == ImageColor.getrgb(COLOURS[0])
    assert drawn.getpixel((3 * 40, 5 * 40)) == GREY


def test_a_large_picture_is_scaled_down_to_the_bytes_that_are_allowed_and_keeps_a_thick_line() -> None:
    noise = Image.frombytes("RGB", (2000, 1000), os.urandom(2000 * 1000 * 3))
    data = boxes_png(noise, [box("", 1000, 500, 1500, 900)], 200_000)
    drawn = seen(data)
    assert len(data) <= 200_000
    assert drawn.width == pytest.approx(drawn.height * 2, abs=2)
    line = [drawn.getpixel((drawn.width // 2 + dx, drawn.height * 7 // 10)) for dx in range(-1, 3)]
    assert line.count(ImageColor.getrgb(COLOURS[0])) == 2


def test_without_a_limit_the_drawing_is_as_large_as_the_picture() -> None:
    assert seen(boxes_png(Image.new("RGB", (3000, 100), GREY), [box("a", 1, 1, 9, 9)])).size == (3000, 100)


def test_a_box_is_drawn_where_the_model_saw_it_in_a_picture_that_lies_on_its_side(tmp_path: Path) -> None:
    lying = Image.new("RGB", (600, 500), GREY)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    lying.save(tmp_path / "a.jpg", exif=exif)
    picture = open_picture("a.jpg", (tmp_path,))
    drawn = draw_boxes(picture.image, [box("a", 10, 400, 60, 590)])
    assert drawn.size == (500, 600)
    assert drawn.getpixel((10, 500)) == ImageColor.getrgb(COLOURS[0])


@pytest.mark.parametrize("place", [(-50, -50, 2000, 2000), (700, 700, 800, 800), (30, 30, 10, 10), (5, 5, 5, 5)])
def test_a_box_beyond_the_picture_is_drawn_up_to_its_edge(place: tuple[int, int, int, int]) -> None:
    drawn = draw_boxes(Image.new("RGB", (500, 500), GREY), [box("a", *place)])
    assert drawn.size == (500, 500)
    assert ImageColor.getrgb(COLOURS[0]) in {colour for _, colour in drawn.getcolors(1 << 20) or []}


def test_a_label_that_the_font_cannot_write_becomes_the_number_of_its_box() -> None:
    picture = Image.new("RGB", (600, 400), GREY)
    place = (100, 100, 300, 300)
    foreign, hidden, number = (draw_boxes(picture, [box(label, *place)]) for label in ("显微镜", "\u200b\x1b[31m", "1"))
    assert foreign.tobytes() == hidden.tobytes() == number.tobytes()


def test_a_long_label_leaves_room_for_others() -> None:
    drawn = draw_boxes(Image.new("RGB", (600, 400), GREY), [box("word " * 100, 0, 200, 50, 300)])
    assert drawn.getpixel((5, 185)) == ImageColor.getrgb(COLOURS[0])
    assert drawn.getpixel((320, 185)) == GREY

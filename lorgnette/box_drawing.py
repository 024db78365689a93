"""Draws an answer's boxes into a copy of the picture, for people to look at. It keeps and sends nothing."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.safe_text import printable
from graph.answer import Box

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    from model.pictures.picture import Picture

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Apart from each other for colour-blind eyes too (Okabe and Ito, 2008), the strongest first.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#f0e442", "#cc79a7", "#56b4e9", "#e69f00", "#ffffff")
SMALLEST_SIDE = 480
"""A picture whose longer side is shorter is enlarged by whole pixels: no label could be read in it."""
LARGEST_SIDE = 1568
"""Of a drawing whose bytes are limited."""
SMALLEST_FONT = 14
_MISSING = "\U0010fffe"  # a code point that no font has


def on_picture(picture: "Picture", boxes: Sequence[Box]) -> tuple["Image.Image", list[Box]]:
    """Return what the boxes of a picture are drawn on, the whole of it, and the boxes in its pixels."""
    image, scale = picture.to_draw_on()
    if scale == 1:
        return image, list(boxes)
    return image, [
        box.model_copy(update={side: round(getattr(box, side) * scale) for side in ("x1", "y1", "x2", "y2")})
        for box in boxes
    ]


def boxes_png(picture: "Image.Image", boxes: Sequence[Box], max_bytes: int | None = None) -> bytes:
    """Return the drawing as PNG, of the picture's own size, or scaled down until it has at most `max_bytes`."""
    if max_bytes is None:
        return _png(draw_boxes(picture, boxes))
    side = float(min(LARGEST_SIDE, max(picture.size)))
    data = _png(draw_boxes(picture, boxes, int(side)))
    while len(data) > max_bytes and side > SMALLEST_SIDE / 2:
        side *= 0.9 * math.sqrt(max_bytes / len(data))
        data = _png(draw_boxes(picture, boxes, int(side)))
    return data


def draw_boxes(picture: "Image.Image", boxes: Sequence[Box], largest_side: int | None = None) -> "Image.Image":
    """Return an RGB copy with a frame and a label for each box, each in the next colour.

    Args:
        picture: RGB, upright; the boxes are in its pixels.
        boxes: All of this picture. What stands out of it is drawn up to its edge.
        largest_side: The copy is scaled down to it before anything is drawn, so that labels stay legible.
    """
    from PIL import Image, ImageDraw, ImageFont

    longer = max(picture.size)
    scale: float = max(1, math.ceil(SMALLEST_SIDE / longer))
    if largest_side is not None and longer > largest_side:
        scale = largest_side / longer
    drawn = picture.convert("RGB")
    if scale != 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        drawn = drawn.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    side = max(drawn.size)
    line = max(2, round(side / 300))
    font = ImageFont.load_default(max(SMALLEST_FONT, round(side / 45)))
    canvas = ImageDraw.Draw(drawn)
    frames = [_inside(box, scale, drawn.size) for box in boxes]
    for number, frame in enumerate(frames):
        # A dark rim on both sides of the line: it is seen on any ground.
        canvas.rectangle(_grown(frame, 1, drawn.size), outline="black", width=line + 2)
        canvas.rectangle(frame, outline=COLOURS[number % len(COLOURS)], width=line)
    for number, (box, frame) in enumerate(zip(boxes, frames, strict=True)):  # labels last: no frame crosses them
        _label(canvas, _readable(box.label, number, font), frame, COLOURS[number % len(COLOURS)], font, drawn.size)
    return drawn


def _png(picture: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _inside(box: Box, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom with both ends drawn, at least a pixel and never outside."""
    left, right = sorted((round(box.x1 * scale), round(box.x2 * scale) - 1))
    top, bottom = sorted((round(box.y1 * scale), round(box.y2 * scale) - 1))
    width, height = size
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, max(left, min(right, width - 1)), max(top, min(bottom, height - 1))


def _grown(frame: tuple[int, int, int, int], by: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = frame
    return max(0, left - by), max(0, top - by), min(size[0] - 1, right + by), min(size[1] - 1, bottom + by)


def _readable(label: str, number: int, font: "Font") -> str:
    """Return the label, or the box's number from 1 where the font cannot write it."""
    label = " ".join(printable(label).split())
    missing = bytes(font.getmask(_MISSING))
    written = label and all(c == " " or bytes(font.getmask(c)) != missing for c in set(label))
    return label if written else str(number + 1)


def _label(
    canvas: "ImageDraw.ImageDraw",
    text: str,
    frame: tuple[int, int, int, int],
    colour: str,
    font: "Font",
    size: tuple[int, int],
) -> None:
    """Write the label on a ground of the box's colour: above the box, or inside it where there is no room above."""
    from PIL import ImageColor

    pad = max(3, round(canvas.textlength("x", font=font) / 3))
    room = min(size[0], max(frame[2] - frame[0], size[0] // 2))
    while len(text) > 1 and canvas.textlength(text, font=font) + 2 * pad > room:
        text = text.rstrip("…")[:-1] + "…"
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = math.ceil(right - left) + 2 * pad, math.ceil(bottom - top) + 2 * pad
    x = max(0, min(frame[0], size[0] - width))
    y = frame[1] - height if frame[1] >= height else min(frame[1], max(0, size[1] - height))
    red, green, blue = ImageColor.getrgb(colour)[:3]
    ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=colour, outline="black")
    canvas.text((x + pad - left, y + pad - top), text, fill=ink, font=font)

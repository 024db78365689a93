"""Pictures that the project's own generator never made: other code, colours, places, sizes and wordings.

Flat things on a plain ground, on a loose grid, drawn with Pillow's own shapes; the answers are known by construction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

COLOURS = {
    "red": ("#d32f2f", "#ff3b30"), "green": ("#2e7d32", "#34c759"), "blue": ("#1565c0", "#0a84ff"),
    "yellow": ("#fbc02d", "#ffd60a"), "purple": ("#7b1fa2", "#af52de"), "orange": ("#ef6c00", "#ff9500"),
}  # fmt: skip
GROUNDS = ("#ffffff", "#f5f5f5", "#fffde7", "#e8eaf6", "#222222")
SHAPES = ("circle", "square", "triangle")
CELL = 96


@dataclass(frozen=True)
class Asked:
    """A question about a drawing, with every answer that is right."""

    kind: str
    question: str
    right: frozenset[str]


def drawing(number: int) -> tuple[Image.Image, list[Asked]]:
    """Return picture `number` and what is asked about it."""
    rng = Random(f"other drawings {number}")
    columns, rows = rng.randint(2, 4), rng.randint(2, 3)
    image = Image.new("RGB", (columns * CELL, rows * CELL), rng.choice(GROUNDS))
    pen = ImageDraw.Draw(image)
    cells = rng.sample([(x, y) for x in range(columns) for y in range(rows)], rng.randint(1, min(5, columns * rows)))
    things = [(rng.choice(SHAPES), rng.choice(list(COLOURS))) for _ in cells]
    for (x, y), (shape, colour) in zip(cells, things, strict=True):
        size = rng.randint(34, 60)
        left, top = x * CELL + rng.randint(4, CELL - size - 4), y * CELL + rng.randint(4, CELL - size - 4)
        _draw(pen, shape, rng.choice(COLOURS[colour]), (left, top, left + size, top + size))
    return image, list(_questions(rng, things))


def _draw(pen: ImageDraw.ImageDraw, shape: str, fill: str, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    elif shape == "square":
        pen.rectangle(box, fill=fill)
    else:
        pen.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=fill)


def _questions(rng: Random, things: list[tuple[str, str]]) -> Iterator[Asked]:
    words = ("zero", "one", "two", "three", "four", "five")
    count = len(things)
    yield Asked("count", "How many things can you see?", frozenset((str(count), words[count])))
    shapes = [shape for shape, _ in things]
    once = [thing for thing in things if shapes.count(thing[0]) == 1]
    if once:
        shape, colour = rng.choice(once)
        yield Asked("colour", f"Which color does the {shape} have?", frozenset((colour,)))
    colours = [colour for _, colour in things]
    alone = [thing for thing in things if colours.count(thing[1]) == 1]
    if alone:
        shape, colour = rng.choice(alone)
        yield Asked("shape", f"What is the shape of the {colour} thing?", frozenset((shape,)))
    shape, colour = rng.choice(things) if rng.random() < 0.5 else (rng.choice(SHAPES), rng.choice(list(COLOURS)))
    answer = "yes" if (shape, colour) in things else "no"
    yield Asked("exist", f"Can you see a {colour} {shape}?", frozenset((answer,)))

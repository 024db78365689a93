"""Four drawn worlds that the bundled checkpoint was never trained on, to see what an adapter learns.

New colours and shapes; the known shapes asked about in German; charts with bars; digits on a card.
Every answer is known exactly. It writes no files.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFont

from finetune.data.drawn.scenes import COLORS, Rgb, Scene, draw_scene, sample_scene

NEW_COLORS: dict[str, Rgb] = {"pink": (250, 150, 195), "brown": (125, 75, 35), "teal": (0, 140, 140)}
NEW_SHAPES = ("hexagon", "diamond", "bolt", "moon")
GERMAN_COLORS = {
    "red": "rot", "green": "grün", "blue": "blau", "yellow": "gelb", "purple": "lila", "orange": "orange",
    "black": "schwarz", "white": "weiß",
}  # fmt: skip
GERMAN_SHAPES = {
    "circle": ("der", "Kreis"), "square": ("das", "Quadrat"), "triangle": ("das", "Dreieck"), "star": ("der", "Stern"),
    "cross": ("das", "Kreuz"), "ring": ("der", "Ring"), "rectangle": ("das", "Rechteck"),
    "pentagon": ("das", "Fünfeck"), "heart": ("das", "Herz"), "arrow": ("der", "Pfeil"),
}  # fmt: skip
"""With the article of the nominative."""
ACCUSATIVE = {"der": "einen", "das": "ein"}
PAPER: Rgb = (236, 236, 232)
BAR_COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
WIDTH, HEIGHT = 192, 160

Exchange = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True)
class Drawn:
    """A picture with questions about it."""

    domain: str
    picture: Image.Image
    exchanges: tuple[Exchange, ...]


def draw(domain: str, rng: Random) -> Drawn:
    """Draw one picture of a domain, `new`, `german`, `bars` or `digits`, with different questions about it."""
    picture, possible = DOMAINS[domain](rng)
    unique = list(dict(possible).items())
    return Drawn(domain, picture, tuple(rng.sample(unique, min(3, len(unique)))))


def _new(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Draw shapes in colours of which neither was ever seen."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(picture)
    columns = rng.sample(range(4), rng.randint(1, 4))
    things = [(rng.choice(list(NEW_COLORS)), rng.choice(NEW_SHAPES)) for _ in columns]
    for (color, shape), column in zip(things, columns, strict=True):
        r = rng.uniform(16, 22)
        x, y = 24 + 48 * column, rng.uniform(r + 4, HEIGHT - r - 4)
        _draw_new(pen, shape, x, y, r, NEW_COLORS[color])
    colors, shapes = [c for c, _ in things], [s for _, s in things]
    asked = [("How many objects are there?", str(len(things)))]
    color, shape = rng.choice(list(NEW_COLORS)), rng.choice(NEW_SHAPES)
    asked.append((f"How many {color} objects are there?", str(colors.count(color))))
    asked.append((f"Is there a {color} {shape}?", "yes" if (color, shape) in things else "no"))
    for color, shape in things:
        if shapes.count(shape) == 1:
            asked.append((f"What color is the {shape}?", color))
        if colors.count(color) == 1:
            asked.append((f"What shape is the {color} object?", shape))
    return picture, asked


def _draw_new(pen: ImageDraw.ImageDraw, shape: str, x: float, y: float, r: float, ink: Rgb) -> None:
    if shape == "moon":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)
        pen.ellipse((x - r * 0.3, y - r, x + r * 1.5, y + r * 0.8), fill=PAPER)
        return
    if shape == "bolt":
        corners = [(0.2, -1), (-0.6, 0.15), (-0.05, 0.15), (-0.25, 1), (0.6, -0.2), (0.05, -0.2), (0.55, -1)]
    elif shape == "diamond":
        corners = [(0, -1), (0.62, 0), (0, 1), (-0.62, 0)]
    else:
        corners = [(math.cos(i * math.pi / 3), math.sin(i * math.pi / 3)) for i in range(6)]
    pen.polygon([(x + r * dx, y + r * dy) for dx, dy in corners], fill=ink)


def _german(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Draw what the checkpoint knows, and ask in German."""
    scene: Scene = sample_scene(rng, WIDTH, HEIGHT, things=rng.randint(1, 4))
    colors, shapes = [t.color for t in scene.things], [t.shape for t in scene.things]
    asked = [("Wie viele Dinge sind im Bild?", str(len(scene.things)))]
    color, shape = rng.choice(colors or list(COLORS)), rng.choice(list(GERMAN_SHAPES))
    asked.append((f"Wie viele {_inflected(color)} Dinge gibt es?", str(colors.count(color))))
    article, noun = GERMAN_SHAPES[shape]
    asked.append((f"Gibt es hier {ACCUSATIVE[article]} {noun}?", "ja" if shape in shapes else "nein"))
    for thing in scene.things:
        article, noun = GERMAN_SHAPES[thing.shape]
        if shapes.count(thing.shape) == 1:
            asked.append((f"Welche Farbe hat {article} {noun}?", GERMAN_COLORS[thing.color]))
        if colors.count(thing.color) == 1:
            asked.append((f"Welche Form hat das {_inflected(thing.color)} Ding?", noun))
    return draw_scene(rng, scene, ease=0.7), asked


def _inflected(color: str) -> str:
    """Return a colour as it stands before a noun."""
    german = GERMAN_COLORS[color]
    return german if german.endswith("e") else f"{german}e"


def _bars(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Draw a chart; no two bars are of about the same height."""
    count = rng.randint(2, 5)
    colors = rng.sample(BAR_COLORS, count)
    heights = [step * 26 + rng.uniform(-4, 4) for step in rng.sample(range(1, 6), count)]
    picture = Image.new("RGB", (WIDTH, HEIGHT), (250, 250, 250))
    pen = ImageDraw.Draw(picture)
    pen.line((8, 8, 8, HEIGHT - 12, WIDTH - 8, HEIGHT - 12), fill=(40, 40, 40), width=2)
    slot = (WIDTH - 24) / count
    for number, (color, height) in enumerate(zip(colors, heights, strict=True)):
        left = 14 + slot * number
        pen.rectangle((left, HEIGHT - 14 - height, left + slot * 0.7, HEIGHT - 14), fill=COLORS[color])
    by_height = sorted(zip(heights, colors, strict=True))
    asked = [
        ("How many bars are there?", str(count)),
        ("Which bar is the tallest?", by_height[-1][1]),
        ("Which bar is the shortest?", by_height[0][1]),
    ]
    (low, lower), (high, higher) = sorted(rng.sample(by_height, 2))
    assert low < high
    asked.append((f"Is the {higher} bar taller than the {lower} bar?", "yes"))
    asked.append((f"Is the {lower} bar taller than the {higher} bar?", "no"))
    return picture, asked


def _digits(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Print one to three digits on a card."""
    digits = [str(one) for one in rng.sample(range(10), rng.randint(1, 3))]
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(56)
    for number, digit in enumerate(digits):
        at = (32 + 64 * number + rng.uniform(-4, 4), 80 + rng.uniform(-20, 20))
        pen.text(at, digit, fill=(25, 25, 30), font=font, anchor="mm")
    asked = [
        ("Which digits are printed?", " ".join(digits)),
        ("How many digits are printed?", str(len(digits))),
        ("What is the first digit?", digits[0]),
        ("What is the sum of the digits?", str(sum(map(int, digits)))),
    ]
    other = str(rng.randrange(10))
    asked.append((f"Is the digit {other} printed?", "yes" if other in digits else "no"))
    return picture, asked


DOMAINS: dict[str, Callable[[Random], tuple[Image.Image, list[Exchange]]]] = {
    "new": _new, "german": _german, "bars": _bars, "digits": _digits,
}  # fmt: skip


def draw_mixture(count: int, seed: int, domains: Sequence[str] = tuple(DOMAINS)) -> list[Drawn]:
    """Draw `count` pictures of each domain, in a random order; the seed decides everything."""
    rng = Random(seed)
    drawn = [draw(domain, rng) for domain in domains for _ in range(count)]
    rng.shuffle(drawn)
    return drawn

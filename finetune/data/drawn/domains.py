"""Four drawn worlds that the bundled checkpoint was never trained on, to see what an adapter learns.

New colours and shapes; the known shapes asked about in Chinese; charts with bars; letters of a small printed alphabet.
Every answer is known exactly. It writes no files.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFont

from finetune.data.drawn.scenes import COLORS, Rgb, Scene, draw_scene, sample_scene
from finetune.data.drawn.wording import COLORS as CHINESE_COLORS
from finetune.data.drawn.wording import SHAPES as CHINESE_SHAPES

NEW_COLORS: dict[str, Rgb] = {"pink": (250, 150, 195), "brown": (125, 75, 35), "teal": (0, 140, 140)}
NEW_SHAPES = ("hexagon", "diamond", "arrow", "moon")
LETTERS = "ACEHKMRT"
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
    """Draw one picture of a domain, `new`, `chinese`, `bars` or `letters`, with different questions about it."""
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
    if shape == "arrow":
        corners = [(-1, -0.3), (0.1, -0.3), (0.1, -0.9), (1, 0), (0.1, 0.9), (0.1, 0.3), (-1, 0.3)]
    elif shape == "diamond":
        corners = [(0, -1), (0.62, 0), (0, 1), (-0.62, 0)]
    else:
        corners = [(math.cos(i * math.pi / 3), math.sin(i * math.pi / 3)) for i in range(6)]
    pen.polygon([(x + r * dx, y + r * dy) for dx, dy in corners], fill=ink)


def _chinese(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Draw what the checkpoint knows, and ask in Chinese."""
    scene: Scene = sample_scene(rng, WIDTH, HEIGHT, things=rng.randint(1, 4))
    colors, shapes = [t.color for t in scene.things], [t.shape for t in scene.things]
    asked = [("图中有几个物体?", str(len(scene.things)))]
    color, shape = rng.choice(colors or list(COLORS)), rng.choice(list(CHINESE_SHAPES))
    asked.append((f"有几个{CHINESE_COLORS[color]}的物体?", str(colors.count(color))))
    asked.append((f"图中有{CHINESE_SHAPES[shape]}吗?", "有" if shape in shapes else "没有"))
    for thing in scene.things:
        if shapes.count(thing.shape) == 1:
            asked.append((f"{CHINESE_SHAPES[thing.shape]}是什么颜色?", CHINESE_COLORS[thing.color]))
        if colors.count(thing.color) == 1:
            asked.append((f"{CHINESE_COLORS[thing.color]}的物体是什么形状?", CHINESE_SHAPES[thing.shape]))
    return draw_scene(rng, scene, ease=0.7), asked


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


def _letters(rng: Random) -> tuple[Image.Image, list[Exchange]]:
    """Print one to three letters on paper."""
    letters = rng.sample(LETTERS, rng.randint(1, 3))
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(56)
    for number, letter in enumerate(letters):
        at = (32 + 64 * number + rng.uniform(-4, 4), 80 + rng.uniform(-20, 20))
        pen.text(at, letter, fill=(25, 25, 30), font=font, anchor="mm")
    asked = [
        ("Which letters are printed?", " ".join(letters)),
        ("How many letters are printed?", str(len(letters))),
        ("What is the first letter?", letters[0]),
    ]
    other = rng.choice(LETTERS)
    asked.append((f"Is the letter {other} printed?", "yes" if other in letters else "no"))
    return picture, asked


DOMAINS: dict[str, Callable[[Random], tuple[Image.Image, list[Exchange]]]] = {
    "new": _new, "chinese": _chinese, "bars": _bars, "letters": _letters,
}  # fmt: skip


def draw_mixture(count: int, seed: int, domains: Sequence[str] = tuple(DOMAINS)) -> list[Drawn]:
    """Draw `count` pictures of each domain, in a random order; the seed decides everything."""
    rng = Random(seed)
    drawn = [draw(domain, rng) for domain in domains for _ in range(count)]
    rng.shuffle(drawn)
    return drawn

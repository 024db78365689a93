"""The drawn world: pictures of plain shapes whose every property is known. It asks no questions.

A scene is sampled from a `random.Random` alone, so a seed names a picture. Positions and radii are
in pixels of the drawn picture, whose size varies; boxes are in Qwen3-VL's form, 0 to 1000 on each
axis (x1, y1, x2, y2), rounded to tens.
"""

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Size = Literal["small", "large"]
Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 75, 220),
    "yellow": (240, 215, 40),
    "purple": (150, 60, 190),
    "orange": (245, 135, 25),
    "black": (18, 18, 18),
    "white": (250, 250, 250),
}
# What people also call by these names: screens, office programs and drawing libraries have reds of their own.
HUES: dict[str, tuple[Rgb, ...]] = {
    "red": (COLORS["red"], (255, 0, 0), (180, 25, 32), (250, 60, 55)),
    "green": (COLORS["green"], (0, 128, 0), (0, 205, 85), (60, 195, 95), (35, 110, 40), (0, 250, 0)),
    "blue": (COLORS["blue"], (0, 0, 255), (15, 128, 250), (25, 100, 185), (35, 50, 150)),
    "yellow": (COLORS["yellow"], (255, 255, 0), (250, 200, 50), (255, 225, 80)),
    "purple": (COLORS["purple"], (128, 0, 128), (172, 85, 220), (100, 35, 150)),
    "orange": (COLORS["orange"], (255, 160, 0), (240, 110, 10), (250, 140, 50)),
    "black": (COLORS["black"], (0, 0, 0), (32, 32, 36)),
    "white": (COLORS["white"], (255, 255, 255)),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "rectangle", "pentagon", "heart", "arrow")
QUARTERS = {"arrow": 4, "rectangle": 2}
"""Shapes that also lie on their side, with the number of quarter turns that look different."""
WORDS = (
    "OPEN", "STOP", "EXIT", "SALE", "FREE", "HELP", "TAXI", "CAFE", "BANK", "BOOK", "FISH", "MILK", "TEA", "RICE",
    "NORTH", "SOUTH", "EAST", "WEST", "PUSH", "PULL", "HOT", "COLD", "LEFT", "RIGHT", "YES", "NO", "BUS", "PARK",
    "HOTEL", "MUSIC", "NEW", "OLD", "BIG", "RED", "BLUE", "DOOR", "FIRE", "GATE", "GOLD", "HOME", "HOUSE", "ICE",
    "JUICE", "KEY", "LAMP", "MAP", "MENU", "MOON", "NIGHT", "DAY", "OIL", "PIZZA", "POST", "RADIO", "RAIN", "ROAD",
    "ROOM", "SHOP", "SNOW", "SUN", "SUGAR", "TAX", "TOY", "TRAIN", "TREE", "WATER", "WIND", "ZONE", "ZOO", "APPLE",
    "BREAD", "CITY", "CLUB", "DANCE", "EGG", "FOOD", "FRUIT", "GAME", "GLASS", "GREEN", "LUNCH", "METRO", "PAPER",
    "PHONE", "PLAY", "QUEEN", "QUIET", "RIVER", "SCHOOL", "SILVER", "STAR", "TICKET", "TOWER", "VIDEO", "WELCOME",
)  # fmt: skip
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MADE_UP_WORDS = 0.25  # share of the words that are random letters, so that letters are read and not only known words
MAX_THINGS = 6
SMALL_RADIUS = (0.06, 0.09)  # of the shorter side
LARGE_RADIUS = (0.12, 0.18)
TOUCHING, APART = 0.9, 1.12  # least distance of two things, in sums of their radii
GROUNDS: tuple[Rgb, ...] = ((235, 235, 235), (128, 128, 128), (70, 70, 80), (190, 200, 210), (225, 220, 180))
MIN_CONTRAST = 95  # Euclidean distance in RGB between a thing and every background colour


@dataclass(frozen=True)
class Thing:
    """One drawn shape: kind, colour and size by name, centre and radius in pixels, angle in radians."""

    shape: str
    color: str
    size: Size
    x: float
    y: float
    r: float
    angle: float = 0.0

    @property
    def name(self) -> str:
        """Colour and shape, as in "red circle"."""
        return f"{self.color} {self.shape}"

    @property
    def phrase(self) -> str:
        """Size, colour and shape with an article, as in "a small red circle"."""
        return f"a {self.size} {self.color} {self.shape}"


@dataclass(frozen=True)
class Lettering:
    """How a word is written: font size in pixels, width as a share of the font's, stroke, and where its middle is."""

    size: float
    squeeze: float
    stroke: int
    x: float
    y: float

    def letters(self, word: str) -> list[tuple[str, float]]:
        """Return each letter with the x of its middle, in pixels."""
        font = ImageFont.load_default(self.size)
        ends = [font.getlength(word[:n]) * self.squeeze for n in range(len(word) + 1)]
        left = self.x - ends[-1] / 2
        return [(letter, left + (ends[n] + ends[n + 1]) / 2) for n, letter in enumerate(word)]


@dataclass(frozen=True)
class Scene:
    """Things from left to right in a picture of `width` by `height` pixels, with one written word or none."""

    width: int
    height: int
    things: tuple[Thing, ...]
    word: str | None = None
    word_box: tuple[int, int, int, int] = (0, 0, 0, 0)
    lettering: Lettering | None = None

    def box(self, thing: Thing) -> list[int]:
        """Return the thing's bounding box, 0 to 1000 on each axis, rounded to tens."""
        corners = outline(thing)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return [
            _thousandths(min(xs), self.width),
            _thousandths(min(ys), self.height),
            _thousandths(max(xs), self.width),
            _thousandths(max(ys), self.height),
        ]


def sample_scene(
    rng: Random, width: int, height: int, *, things: int | None = None, word: bool = False, cell: float | None = None
) -> Scene:
    """Place shapes in a picture of this size; now and then they touch or overlap a little.

    Args:
        rng: Decides everything.
        width: In pixels.
        height: In pixels.
        things: How many at most; by default 0 to 6, few of them 0.
        word: Whether a word is written too.
        cell: Side in pixels of a grid, each thing in the middle of a cell and in a column of its own; by default
            things lie anywhere.
    """
    wanted = things if things is not None else rng.choices(range(MAX_THINGS + 1), (1, 6, 8, 8, 7, 6, 6))[0]
    side = min(width, height)
    text, word_box, lettering = None, (0, 0, 0, 0), None
    if word:
        text = rng.choice(WORDS)
        if rng.random() < MADE_UP_WORDS:
            text = "".join(rng.choices(ALPHABET, k=rng.randint(2, 5)))
        band = int(height * rng.uniform(0.26, 0.4))
        top = rng.choice((0, height - band))
        word_box = (0, top, width, top + band)
        lettering = _lettering(rng, text, word_box)
    placed: list[Thing] = []
    # One shape or one colour often repeats, or counting by colour and shape would hardly go past one.
    shapes = rng.sample(SHAPES, rng.choice((2, 3, 6, 10)))
    colors = rng.sample(list(COLORS), rng.choice((2, 3, 8)))
    gap = TOUCHING if rng.random() < 0.15 else APART
    for _ in range(wanted * 12):
        if len(placed) == wanted:
            break
        size: Size = rng.choice(("small", "large"))
        r = side * rng.uniform(*(SMALL_RADIUS if size == "small" else LARGE_RADIUS))
        x, y = rng.uniform(r + 1, width - r - 1), rng.uniform(r + 1, height - r - 1)
        if cell is not None:
            r = min(r, cell * 0.45)
            x, y = ((int(at / cell) + 0.5 + rng.uniform(-0.05, 0.05)) * cell for at in (x, y))
        if word and word_box[1] - r < y < word_box[3] + r:
            continue
        if any(math.hypot(x - p.x, y - p.y) < (r + p.r) * gap for p in placed):
            continue
        if any(abs(x - p.x) < width * 0.04 for p in placed):
            continue  # else "from left to right" would be a guess
        angle = rng.uniform(-0.25, 0.25) if cell is None and rng.random() < 0.4 else 0.0
        shape = rng.choice(shapes)
        angle += math.pi / 2 * rng.randrange(QUARTERS.get(shape, 1))
        placed.append(Thing(shape, rng.choice(colors), size, x, y, r, angle))
    return Scene(width, height, tuple(sorted(placed, key=lambda t: t.x)), text, word_box, lettering)


def _lettering(rng: Random, text: str, box: tuple[int, int, int, int]) -> Lettering:
    left, top, right, bottom = box
    size, squeeze = (bottom - top) * rng.uniform(0.5, 0.8), rng.uniform(0.75, 1.15)
    length = ImageFont.load_default(size).getlength(text) * squeeze
    if length > (right - left) * 0.9:
        size, length = size * (right - left) * 0.9 / length, (right - left) * 0.9
    stroke = rng.choice((0, 0, max(1, round(size * 0.04))))
    slack = (right - left - length) / 2 * 0.9
    return Lettering(size, squeeze, stroke, (left + right) / 2 + rng.uniform(-slack, slack), (top + bottom) / 2)


def draw_scene(rng: Random, scene: Scene, ease: float = 0.0) -> Image.Image:
    """Draw the scene on a plain, graded or patterned background, with or without outlines and noise.

    `ease` is the share of pictures that are plain and clean instead, for the beginning of a training.
    """
    easy = rng.random() < ease
    inks = [COLORS[t.color] if easy else rng.choice(HUES[t.color]) for t in scene.things]
    background = _background(rng, scene.width, scene.height, inks, plain=easy)
    draw = ImageDraw.Draw(background)
    edge = None if easy or rng.random() < 0.55 else rng.choice(((60, 60, 60), (0, 0, 0), (255, 255, 255)))
    thick = rng.choice((0.0, rng.uniform(0.05, 0.2)))  # of the radius; 0 is one pixel
    for thing, ink in zip(scene.things, inks, strict=True):
        _draw_thing(draw, thing, _jitter(rng, ink, 14), edge, 1 if easy else rng.uniform(0.6, 1.2), thick)
    if scene.word is not None:
        _draw_word(rng, background, draw, scene)
    if not easy and rng.random() < 0.5:
        background = _with_noise(rng, background)
    return background


def _thousandths(value: float, whole: int) -> int:
    return min(1000, max(0, round(value / whole * 100) * 10))


def _polygon(thing: Thing, radii: tuple[float, ...], start: float) -> list[tuple[float, float]]:
    step = 2 * math.pi / len(radii)
    return [
        (
            thing.x + thing.r * k * math.cos(start + thing.angle + i * step),
            thing.y + thing.r * k * math.sin(start + thing.angle + i * step),
        )
        for i, k in enumerate(radii)
    ]


def outline(thing: Thing) -> list[tuple[float, float]]:
    """Return the corner points that span the drawn shape."""
    if thing.shape in ("circle", "ring"):
        return [(thing.x - thing.r, thing.y - thing.r), (thing.x + thing.r, thing.y + thing.r)]
    if thing.shape == "square":
        return _polygon(thing, (1.0,) * 4, math.pi / 4)
    if thing.shape == "triangle":
        return _polygon(thing, (1.0,) * 3, -math.pi / 2)
    if thing.shape == "pentagon":
        return _polygon(thing, (1.0,) * 5, -math.pi / 2)
    if thing.shape == "star":
        return _polygon(thing, (1.0, 0.42) * 5, -math.pi / 2)
    cos, sin, r = math.cos(thing.angle), math.sin(thing.angle), thing.r
    return [(thing.x + r * (x * cos - y * sin), thing.y + r * (x * sin + y * cos)) for x, y in CORNERS[thing.shape]]


def _heart() -> tuple[tuple[float, float], ...]:
    turns = [i * math.pi / 20 for i in range(40)]
    return tuple(
        (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
        for t in turns
    )


_ARM = 0.32
CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    "cross": (
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ),
    "rectangle": ((-0.95, -0.5), (0.95, -0.5), (0.95, 0.5), (-0.95, 0.5)),
    "arrow": ((-1, -0.28), (0.1, -0.28), (0.1, -0.75), (1, 0), (0.1, 0.75), (0.1, 0.28), (-1, 0.28)),
    "heart": _heart(),
}  # fmt: skip
"""Corners of the shapes that are no regular polygons, at radius 1."""


def _draw_thing(
    draw: ImageDraw.ImageDraw, thing: Thing, color: Rgb, edge: Rgb | None, band: float, thick: float
) -> None:
    """Draw one thing; `band` is the width of a ring as a share of the usual one, `thick` that of an edge."""
    points = outline(thing)
    width = max(1, round(thing.r * thick))
    if edge is not None and math.dist(edge, color) < MIN_CONTRAST:
        edge = None
    if thing.shape == "ring":
        draw.ellipse(points, outline=color, width=max(2, round(thing.r * 0.36 * band)))
    elif thing.shape == "circle":
        draw.ellipse(points, fill=color, outline=edge, width=width)
    else:
        draw.polygon(points, fill=color, outline=edge, width=width if edge is not None else 1)


def _draw_word(rng: Random, image: Image.Image, draw: ImageDraw.ImageDraw, scene: Scene) -> None:
    lettering, word = scene.lettering, scene.word
    assert lettering is not None and word is not None, "a scene with a word says how it is written"
    dark, light = _jitter(rng, (30, 30, 40), 30), _jitter(rng, (230, 230, 225), 25)
    paper, ink = rng.choice(((light, dark), (dark, light), (light, rng.choice(HUES["blue"] + HUES["red"]))))
    draw.rectangle(scene.word_box, fill=paper)
    font = ImageFont.load_default(lettering.size)
    length, height = font.getlength(word), lettering.size * 1.4
    mask = Image.new("L", (max(1, round(length)), max(1, round(height))))
    ImageDraw.Draw(mask).text(
        (length / 2, height / 2), word, fill=255, font=font, anchor="mm", stroke_width=lettering.stroke
    )
    mask = mask.resize((max(1, round(length * lettering.squeeze)), mask.height))
    image.paste(ink, (round(lettering.x - mask.width / 2), round(lettering.y - mask.height / 2)), mask)


def _jitter(rng: Random, color: Rgb, amount: int) -> Rgb:
    r, g, b = (min(255, max(0, c + rng.randint(-amount, amount))) for c in color)
    return (r, g, b)


def _distance(a: Rgb, b: Rgb) -> float:
    return math.dist(a, b)


def _background(rng: Random, width: int, height: int, ink: list[Rgb], *, plain: bool) -> Image.Image:
    """Return a background whose colours all stand off from every ink."""
    for _ in range(40):
        base = _jitter(rng, rng.choice(GROUNDS), 60)
        if rng.random() < 0.25:
            base = rng.choice(((255, 255, 255), (255, 255, 255), (0, 0, 0), (250, 245, 225), (30, 32, 38)))
        other = _jitter(rng, base, 22)
        if all(_distance(c, i) > MIN_CONTRAST for c in (base, other) for i in ink):
            break
    else:
        base = other = next(
            c for c in ((128, 128, 128), (175, 175, 175), (90, 110, 110), (205, 185, 205), (110, 90, 60), (0, 0, 0))
            if all(_distance(c, i) > MIN_CONTRAST * 0.6 for i in ink) or c == (0, 0, 0)
        )  # fmt: skip
    style = rng.choice(("plain", "plain", "plain", "across", "down", "stripes"))
    if plain or style == "plain":
        return Image.new("RGB", (width, height), base)
    ramp = np.linspace(0, 1, width if style != "down" else height)
    if style == "stripes":
        ramp = (np.arange(width) // rng.randint(4, 24) % 2).astype(float)
    row = np.outer(1 - ramp, base) + np.outer(ramp, other)  # (W or H, 3)
    pixels = row[:, None, :].repeat(width, 1) if style == "down" else row[None, :, :].repeat(height, 0)
    return Image.fromarray(pixels.astype(np.uint8))  # (H, W, 3)


def _with_noise(rng: Random, image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(2, 11), (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))

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
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
WORDS = [
    "OPEN",
    "STOP",
    "EXIT",
    "SALE",
    "FREE",
    "HELP",
    "TAXI",
    "CAFE",
    "BANK",
    "BOOK",
    "FISH",
    "MILK",
    "TEA",
    "RICE",
    "NORTH",
    "SOUTH",
    "EAST",
    "WEST",
    "PUSH",
    "PULL",
    "HOT",
    "COLD",
    "LEFT",
    "RIGHT",
    "YES",
    "NO",
    "BUS",
    "PARK",
    "HOTEL",
    "MUSIC",
]
MAX_THINGS = 6
SMALL_RADIUS = (0.07, 0.09)  # of the shorter side
LARGE_RADIUS = (0.12, 0.16)
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
class Scene:
    """Things from left to right in a picture of `width` by `height` pixels, with one written word or none."""

    width: int
    height: int
    things: tuple[Thing, ...]
    word: str | None = None
    word_box: tuple[int, int, int, int] = (0, 0, 0, 0)

    def box(self, thing: Thing) -> list[int]:
        """Return the thing's bounding box, 0 to 1000 on each axis, rounded to tens."""
        corners = _outline(thing)
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
    """Place shapes without overlap in a picture of this size.

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
    text, word_box = None, (0, 0, 0, 0)
    if word:
        text = rng.choice(WORDS)
        band = int(height * rng.uniform(0.28, 0.4))
        top = rng.choice((0, height - band))
        word_box = (0, top, width, top + band)
    placed: list[Thing] = []
    # One shape or one colour often repeats, or counting by colour and shape would hardly go past one.
    shapes = rng.sample(SHAPES, rng.choice((2, 3, 6)))
    colors = rng.sample(list(COLORS), rng.choice((2, 3, 8)))
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
        if any(math.hypot(x - p.x, y - p.y) < (r + p.r) * 1.12 for p in placed):
            continue
        if any(abs(x - p.x) < width * 0.04 for p in placed):
            continue  # else "from left to right" would be a guess
        angle = rng.uniform(-0.25, 0.25) if cell is None and rng.random() < 0.4 else 0.0
        placed.append(Thing(rng.choice(shapes), rng.choice(colors), size, x, y, r, angle))
    return Scene(width, height, tuple(sorted(placed, key=lambda t: t.x)), text, word_box)


def draw_scene(rng: Random, scene: Scene, ease: float = 0.0) -> Image.Image:
    """Draw the scene on a plain, graded or patterned background, with or without outlines and noise.

    `ease` is the share of pictures that are plain and clean instead, for the beginning of a training.
    """
    easy = rng.random() < ease
    ink = {t.color for t in scene.things}
    background = _background(rng, scene.width, scene.height, [COLORS[c] for c in ink], plain=easy)
    draw = ImageDraw.Draw(background)
    outlined = not easy and rng.random() < 0.25
    for thing in scene.things:
        _draw_thing(draw, thing, _jitter(rng, COLORS[thing.color], 14), outlined)
    if scene.word is not None:
        _draw_word(rng, draw, scene)
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


def _outline(thing: Thing) -> list[tuple[float, float]]:
    """Return the corner points that span the drawn shape."""
    if thing.shape in ("circle", "ring"):
        return [(thing.x - thing.r, thing.y - thing.r), (thing.x + thing.r, thing.y + thing.r)]
    if thing.shape == "square":
        return _polygon(thing, (1.0,) * 4, math.pi / 4)
    if thing.shape == "triangle":
        return _polygon(thing, (1.0,) * 3, -math.pi / 2)
    if thing.shape == "star":
        return _polygon(thing, (1.0, 0.42) * 5, -math.pi / 2)
    return _cross(thing)


def _cross(thing: Thing) -> list[tuple[float, float]]:
    arm, far = thing.r * 0.32, thing.r
    corners = [
        (-arm, -far), (arm, -far), (arm, -arm), (far, -arm), (far, arm), (arm, arm),
        (arm, far), (-arm, far), (-arm, arm), (-far, arm), (-far, -arm), (-arm, -arm),
    ]  # fmt: skip
    cos, sin = math.cos(thing.angle), math.sin(thing.angle)
    return [(thing.x + x * cos - y * sin, thing.y + x * sin + y * cos) for x, y in corners]


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Thing, color: Rgb, outlined: bool) -> None:
    edge: Rgb | None = (60, 60, 60) if outlined and thing.color != "black" else None
    points = _outline(thing)
    if thing.shape == "ring":
        draw.ellipse(points, outline=color, width=max(2, round(thing.r * 0.36)))
    elif thing.shape == "circle":
        draw.ellipse(points, fill=color, outline=edge)
    else:
        draw.polygon(points, fill=color, outline=edge)


def _draw_word(rng: Random, draw: ImageDraw.ImageDraw, scene: Scene) -> None:
    left, top, right, bottom = scene.word_box
    paper, ink = rng.choice((((245, 245, 245), (20, 20, 20)), ((25, 25, 30), (240, 240, 240))))
    draw.rectangle(scene.word_box, fill=paper)
    font = ImageFont.load_default((bottom - top) * 0.62)
    length = draw.textlength(scene.word or "", font=font)
    if length > (right - left) * 0.9:
        font = ImageFont.load_default((bottom - top) * 0.62 * (right - left) * 0.9 / length)
    at = (rng.uniform(0.4, 0.6) * (right - left), (top + bottom) / 2)
    draw.text(at, scene.word or "", fill=ink, font=font, anchor="mm")


def _jitter(rng: Random, color: Rgb, amount: int) -> Rgb:
    r, g, b = (min(255, max(0, c + rng.randint(-amount, amount))) for c in color)
    return (r, g, b)


def _distance(a: Rgb, b: Rgb) -> float:
    return math.dist(a, b)


def _background(rng: Random, width: int, height: int, ink: list[Rgb], *, plain: bool) -> Image.Image:
    """Return a background whose colours all stand off from every ink."""
    for _ in range(40):
        base = _jitter(rng, rng.choice(((235, 235, 235), (128, 128, 128), (70, 70, 80), (190, 200, 210))), 60)
        if rng.random() < 0.2:
            base = (255, 255, 255)
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

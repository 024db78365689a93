"""Pictures that the project's own generator never made: another library, other colours, sizes, places and wordings.

OpenCV draws flat, smooth things on a plain ground, on a loose grid or anywhere, in pictures of 64 to 2,000 pixels, and
writes in its own font. The answers are known by construction, and no training reads this file.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image, ImageColor

from finetune.evaluation.metrics import iou

COLOURS = {
    "red": ("#d32f2f", "#ff3b30", "#e53935"), "green": ("#2e7d32", "#34c759", "#43a047"),
    "blue": ("#1565c0", "#0a84ff", "#1e88e5"), "yellow": ("#fbc02d", "#ffd60a", "#fdd835"),
    "purple": ("#7b1fa2", "#af52de", "#8e24aa"), "orange": ("#ef6c00", "#ff9500", "#fb8c00"),
    "black": ("#212121", "#000000"), "white": ("#ffffff", "#fafafa"),
}  # fmt: skip
GROUNDS = ("#ffffff", "#f5f5f5", "#fffde7", "#e8eaf6", "#222222", "#b0bec5", "#37474f")
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "rectangle", "pentagon", "heart", "arrow")
CHINESE = {
    "red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "purple": "紫色", "orange": "橙色",
    "black": "黑色", "white": "白色", "circle": "圆形", "square": "方形", "triangle": "三角形", "star": "星形",
    "cross": "十字形", "ring": "圆环", "rectangle": "长方形", "pentagon": "五边形", "heart": "心形", "arrow": "箭头",
}  # fmt: skip
WORDS = ("OPEN", "STOP", "EXIT", "SALE", "BANK", "MILK", "RICE", "WEST", "PUSH", "COLD", "PARK", "HOTEL")
FACES = (0, 2, 3, 4)  # Hershey simplex, duplex, complex, triplex
NUMBERS = ("zero", "one", "two", "three", "four", "five")
ALSO = {
    "square": ("正方形",),
    "star": ("五角星", "星星"),
    "ring": ("环形", "圆圈"),
    "rectangle": ("矩形",),
    "cross": ("十字",),
}
"""Other right words in Chinese answers."""


@dataclass(frozen=True)
class Asked:
    """A question about a drawing, with every answer that is right."""

    kind: str
    question: str
    right: frozenset[str] = frozenset()
    box: tuple[int, int, int, int] | None = None
    """In thousandths, where a box is asked for."""
    names: tuple[tuple[str, ...], ...] = field(default=())
    """What a description must name, in any order: of each thing, all words."""

    @property
    def is_chinese(self) -> bool:
        """Return whether it is asked in Chinese."""
        return not self.question.isascii()

    def judge(self, said: str) -> bool:
        """Return whether an answer is right: a box by its overlap, a description by what it names, else the words."""
        plain = said.strip().rstrip(".。").casefold()
        if self.box is not None:
            try:
                return iou(json.loads(said)[0]["bbox_2d"], list(self.box)) >= 0.5
            except (ValueError, LookupError, TypeError):
                return False
        if self.names:
            parts = plain.replace(" and ", ",").replace("和", ",").replace("、", ",").split(",")
            left = list(self.names)
            for part in parts:
                found = next((words for words in left if _names(part, words)), None)
                if found is None:
                    return False
                left.remove(found)
            return not left
        return plain in {answer.rstrip(".。").casefold() for answer in self.right}


def _names(part: str, words: tuple[str, ...]) -> bool:
    """Whether a part of a description names a thing by these words, the shape last."""
    is_longer = words[-1] == "方形" and part.endswith("长方形")
    return part.endswith(words[-1]) and not is_longer and all(word in part for word in words)


@dataclass(frozen=True)
class _Thing:
    shape: str
    colour: str
    x: float
    y: float
    r: float
    quarter: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        xs, ys = zip(*_outline(self), strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def drawing(number: int) -> tuple[Image.Image, list[Asked]]:
    """Return picture `number` and what is asked about it, mostly in English."""
    rng = Random(f"other drawings {number}")
    side = round(math.exp(rng.uniform(math.log(96), math.log(1500))))
    width, height = side, min(2000, max(64, round(side * rng.choice((1, 1, 0.75, 1.33, 0.6, 1.6)))))
    ground = rng.choice(GROUNDS)
    word = rng.choice(WORDS) if rng.random() < 0.2 else None
    things = _placed(rng, width, height, ground, word is not None)
    picture = _drawn(rng, width, height, ground, things, word)
    ask = _in_chinese if rng.random() < 0.4 else _in_english
    return picture, list(ask(rng, width, height, things, word))


def _placed(rng: Random, width: int, height: int, ground: str, word: bool) -> list[_Thing]:
    """Place up to five things apart, on a loose grid or anywhere; none of a colour that the ground hides."""
    bottom, side = height * (0.62 if word else 1), min(width, height)
    seen = [c for c, inks in COLOURS.items() if min(_distance(ground, ink) for ink in inks) > 110]
    things: list[_Thing] = []
    wanted, grid = rng.randint(1, 5), rng.random() < 0.5
    for _ in range(200):
        if len(things) == wanted:
            break
        r = side * rng.uniform(0.07, 0.15)
        x, y = rng.uniform(r * 1.1, width - r * 1.1), rng.uniform(r * 1.1, bottom - r * 1.1)
        if grid:
            x = (int(x / width * 4) + 0.5) * width / 4
        if bottom < 2.2 * r or any(math.hypot(x - t.x, y - t.y) < (r + t.r) * 1.15 for t in things):
            continue
        things.append(_Thing(rng.choice(SHAPES), rng.choice(seen), x, y, r, rng.randrange(4)))
    return things


def _distance(a: str, b: str) -> float:
    return math.dist(ImageColor.getrgb(a)[:3], ImageColor.getrgb(b)[:3])


def _regular(count: int, inner: float = 1.0) -> list[tuple[float, float]]:
    """Return corners on a circle, every second one further in."""
    angles = [-math.pi / 2 + 2 * math.pi * n / count for n in range(count)]
    return [
        (math.cos(a) * (inner if n % 2 else 1), math.sin(a) * (inner if n % 2 else 1)) for n, a in enumerate(angles)
    ]


def _heart() -> list[tuple[float, float]]:
    """Return two arcs and a tip."""
    half = [(0.5 + 0.5 * math.cos(a), -0.3 + 0.5 * math.sin(a)) for a in np.linspace(math.pi, math.pi * 2.1, 20)]
    return [*half, (0.0, 0.95), *[(-x, y) for x, y in reversed(half)]]


REGULAR: dict[str, tuple[int] | tuple[int, float]] = {
    "circle": (72,),
    "ring": (72,),
    "star": (10, 0.45),
    "pentagon": (5,),
}
CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": [(0, -0.95), (1, 0.8), (-1, 0.8)],
    "rectangle": [(-1, -0.55), (1, -0.55), (1, 0.55), (-1, 0.55)],
    "cross": [
        (-0.28, -1), (0.28, -1), (0.28, -0.28), (1, -0.28), (1, 0.28), (0.28, 0.28),
        (0.28, 1), (-0.28, 1), (-0.28, 0.28), (-1, 0.28), (-1, -0.28), (-0.28, -0.28),
    ],
    "arrow": [(-1, -0.25), (0.2, -0.25), (0.2, -0.7), (1, 0), (0.2, 0.7), (0.2, 0.25), (-1, 0.25)],
    "heart": _heart(),
}  # fmt: skip
"""Of radius 1, in this file's own proportions."""


def _outline(thing: _Thing) -> list[tuple[float, float]]:
    """Return the corners of the drawn thing."""
    r, turn = thing.r, thing.quarter * math.pi / 2 if thing.shape in ("arrow", "rectangle") else 0.0
    unit = CORNERS.get(thing.shape) or _regular(*REGULAR[thing.shape])
    cos, sin = math.cos(turn), math.sin(turn)
    return [(thing.x + r * (x * cos - y * sin), thing.y + r * (x * sin + y * cos)) for x, y in unit]


def _drawn(rng: Random, width: int, height: int, ground: str, things: list[_Thing], word: str | None) -> Image.Image:
    import cv2

    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = ImageColor.getrgb(ground)[:3]
    edge = rng.choice((None, None, None, (90, 90, 90)))
    for thing in things:
        points = np.array([[round(x * 16), round(y * 16)] for x, y in _outline(thing)], np.int32)
        ink = ImageColor.getrgb(rng.choice(COLOURS[thing.colour]))[:3]
        cv2.fillPoly(canvas, [points], ink, cv2.LINE_AA, 4)
        if edge is not None:
            cv2.polylines(canvas, [points], True, edge, max(1, round(thing.r * 0.06)), cv2.LINE_AA, 4)
        if thing.shape == "ring":
            middle = (round(thing.x * 16), round(thing.y * 16))
            cv2.circle(canvas, middle, round(thing.r * 0.62 * 16), ImageColor.getrgb(ground)[:3], -1, cv2.LINE_AA, 4)
    if word is not None:
        ink = (245, 245, 245) if sum(ImageColor.getrgb(ground)[:3]) < 330 else (25, 25, 25)
        face, thick = rng.choice(FACES), max(1, round(height * 0.012))
        (w, h), _ = cv2.getTextSize(word, face, 1.0, thick)
        scale = min(height * 0.2 / h, width * 0.85 / w)
        (w, h), _ = cv2.getTextSize(word, face, scale, thick)
        at = ((width - w) // 2, round(height * 0.82 + h / 2))
        cv2.putText(canvas, word, at, face, scale, ink, thick, cv2.LINE_AA)
    return Image.fromarray(canvas)


def _thousandths(thing: _Thing, width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = thing.box
    return round(x1 / width * 1000), round(y1 / height * 1000), round(x2 / width * 1000), round(y2 / height * 1000)


def _once(things: list[_Thing], key: Callable[[_Thing], object]) -> list[_Thing]:
    return [t for t in things if [key(o) for o in things].count(key(t)) == 1]


def _in_english(rng: Random, width: int, height: int, things: list[_Thing], word: str | None) -> Iterator[Asked]:
    count = len(things)
    yield Asked("count", "How many things can you see?", frozenset((str(count), NUMBERS[count])))
    if once := _once(things, lambda t: t.shape):
        thing = rng.choice(once)
        yield Asked("color", f"Which color does the {thing.shape} have?", frozenset((thing.colour,)))
    if once := _once(things, lambda t: t.colour):
        thing = rng.choice(once)
        yield Asked("shape", f"What is the shape of the {thing.colour} thing?", frozenset((thing.shape,)))
    seen = {(t.shape, t.colour) for t in things}
    shape, colour = rng.choice(sorted(seen)) if rng.random() < 0.5 else (rng.choice(SHAPES), rng.choice(list(COLOURS)))
    answer = "yes" if (shape, colour) in seen else "no"
    yield Asked("exist", f"Can you see a {colour} {shape}?", frozenset((answer,)))
    single = _once(things, lambda t: (t.shape, t.colour))
    if single:
        thing = rng.choice(single)
        name = f"{thing.colour} {thing.shape}"
        yield Asked("locate", f"Please locate the {name} in this image.", box=_thousandths(thing, width, height))
    if len(single) > 1:
        a, b = rng.sample(single, 2)
        if abs(a.x - b.x) > width * 0.12:
            side = rng.choice(("left", "right"))
            true = (a.x < b.x) == (side == "left")
            text = f"Is the {a.colour} {a.shape} on the {side} of the {b.colour} {b.shape}?"
            yield Asked("relation", text, frozenset(("yes" if true else "no",)))
    names = tuple((t.colour, t.shape) for t in things)
    yield Asked("caption", "What is shown in this picture?", names=names)
    if word is not None:
        yield Asked("word", "What does it say in the picture?", frozenset((word,)))
    if rng.random() < 0.1:
        cannot = frozenset(("I cannot tell from this picture.",))
        yield Asked("unknown", rng.choice(("What is her name?", "Which year is this?")), cannot)


def _in_chinese(rng: Random, width: int, height: int, things: list[_Thing], word: str | None) -> Iterator[Asked]:
    def name(thing: _Thing) -> str:
        return CHINESE[thing.colour] + CHINESE[thing.shape]

    yield Asked("count", "请问图中共有几个物体？", frozenset((str(len(things)),)))
    if once := _once(things, lambda t: t.shape):
        thing = rng.choice(once)
        yield Asked("color", f"请问{CHINESE[thing.shape]}是什么颜色？", frozenset((CHINESE[thing.colour],)))
    if once := _once(things, lambda t: t.colour):
        thing = rng.choice(once)
        right = frozenset((CHINESE[thing.shape], *ALSO.get(thing.shape, ())))
        yield Asked("shape", f"{CHINESE[thing.colour]}的是什么形状？", right)
    seen = {(t.shape, t.colour) for t in things}
    shape, colour = rng.choice(sorted(seen)) if rng.random() < 0.5 else (rng.choice(SHAPES), rng.choice(list(COLOURS)))
    answer = ("有", "有的") if (shape, colour) in seen else ("没有", "没有的")
    yield Asked("exist", f"请问图中有没有{CHINESE[colour]}{CHINESE[shape]}？", frozenset(answer))
    single = _once(things, lambda t: (t.shape, t.colour))
    if single:
        thing = rng.choice(single)
        yield Asked("locate", f"请找到{name(thing)}的位置。", box=_thousandths(thing, width, height))
    if len(single) > 1:
        a, b = rng.sample(single, 2)
        if abs(a.x - b.x) > width * 0.12:
            side = rng.choice(("左", "右"))
            true = (a.x < b.x) == (side == "左")
            yield Asked(
                "relation", f"请问{name(a)}在{name(b)}的{side}边吗？", frozenset(("是", "是的") if true else ("不是",))
            )
    yield Asked("caption", "请说说图中有什么。", names=tuple((CHINESE[t.colour], CHINESE[t.shape]) for t in things))
    if word is not None:
        yield Asked("word", "请问图中写的是什么？", frozenset((word,)))

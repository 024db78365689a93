"""How drawn things are named and asked about, in English and in Chinese. It knows no pictures.

`HELD_BACK` are wordings that no training sees: what a checkpoint answers to them is what it understands.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Code = Literal["en", "zh"]

COLORS = {
    "red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "purple": "紫色", "orange": "橙色",
    "black": "黑色", "white": "白色",
}  # fmt: skip
SHAPES = {
    "circle": "圆形", "square": "方形", "triangle": "三角形", "star": "星形", "cross": "十字形", "ring": "圆环",
    "rectangle": "长方形", "pentagon": "五边形", "heart": "心形", "arrow": "箭头",
}  # fmt: skip
ALSO_CALLED = {"圆形": "圆", "方形": "正方形", "星形": "五角星", "圆环": "环形", "长方形": "矩形", "心形": "爱心"}
"""Other words for the shapes, in questions alone."""
SIZES = {"small": "小", "large": "大"}
PLURAL = {"cross": "crosses"}


_PLACED = re.compile(r"\b(picture|image|drawing|here|this)\b")


@dataclass(frozen=True)
class Wording:
    """The phrases of a language; those in braces are filled in."""

    code: Code
    ask: Mapping[str, tuple[str, ...]]
    """By what is asked, the wordings of a training."""
    held_back: Mapping[str, tuple[str, ...]]
    """Those that no training sees."""
    sides: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[str, ...]]
    say: Mapping[str, str]
    """What is answered, by its occasion."""
    steps: Mapping[str, str]
    """A plan's step, by what is asked."""
    anything: tuple[str, ...]
    """Words for things of any kind."""

    def question(self, rng: Random, what: str, *, unseen: bool, **filled: str) -> str:
        """Return a question, in one of the wordings held back if it is to be unseen."""
        return rng.choice((self.held_back if unseen else self.ask)[what]).format(**filled)

    def word(self, name: str) -> str:
        """Return the word for a colour, a shape or a size."""
        return name if self.code == "en" else (COLORS | SHAPES | SIZES)[name]

    def name(self, *words: str) -> str:
        """Name one thing by size, colour and shape, or some of them."""
        if self.code == "en":
            return " ".join(words)
        return "".join(self.word(w) + ("的" if w in SIZES else "") for w in words)

    def asked(self, rng: Random, *words: str) -> str:
        """Name one thing as somebody asks for it."""
        name, usual = self.name(*words), SHAPES.get(words[-1], "")
        if self.code == "zh" and usual in ALSO_CALLED and rng.random() < 0.3:
            return name.removesuffix(usual) + ALSO_CALLED[usual]
        return name

    def one(self, name: str) -> str:
        """Put the article before the name."""
        return with_article(name) if self.code == "en" else name

    def many(self, rng: Random, *words: str) -> str:
        """Name all things of a size, a colour, a shape; without a shape they are objects, things or shapes."""
        if self.code == "en":
            noun = plural(words[-1]) if words and words[-1] in SHAPES else rng.choice(self.anything)
            return " ".join([*(w for w in words if w not in SHAPES), noun])
        if words and words[-1] in SHAPES:
            return self.asked(rng, *words)
        return "".join(f"{self.word(w)}的" for w in words) + rng.choice(self.anything)

    def listed(self, names: Sequence[str]) -> str:
        """Join different names."""
        unique = list(dict.fromkeys(names))
        comma, last = (", ", " and ") if self.code == "en" else ("、", "和")
        return unique[0] if len(unique) == 1 else comma.join(unique[:-1]) + last + unique[-1]

    def caption(self, names: Sequence[str]) -> str:
        """Say how many things there are and name them in their order."""
        if not names:
            return self.say["empty"]
        one = [with_article(n) for n in names] if self.code == "en" else [f"一个{n}" for n in names]
        comma, last = (", ", " and ") if self.code == "en" else ("、", "和")
        every = one[0] if len(one) == 1 else comma.join(one[:-1]) + last + one[-1]
        return self.say["one" if len(one) == 1 else "several"].format(count=len(one), things=every)

    def pointed(self, rng: Random, text: str) -> str:
        """Write a question about a picture with what people put around it: that it is in this image, and please."""
        mark = text[-1]
        if self.code == "en":
            if rng.random() < 0.12 and not _PLACED.search(text):
                text = text[:-1] + rng.choice((" in this image", " in this picture", " in the picture", " here")) + mark
            if rng.random() < 0.3 and mark == "." and not text.startswith("Please"):
                return f"Please {text[0].lower()}{text[1:]}"
        elif rng.random() < 0.12 and not text.startswith(("请", "图")):
            return rng.choice(("请问", "图里", "请问图中") if mark == "？" else ("请",)) + text
        return text

    def casual(self, rng: Random, text: str) -> str:
        """Write it as people type: now and then without the capital or the closing mark, or with the other one."""
        if self.code == "en" and rng.random() < 0.12:
            text = text[0].lower() + text[1:]
        if self.code == "zh" and rng.random() < 0.3:
            text = text.replace("\uff1f", "?")
        return text[:-1] if rng.random() < 0.12 else text


def plural(noun: str) -> str:
    """Return the plural of a shape's English name."""
    return PLURAL.get(noun, noun + "s")


def with_article(words: str) -> str:
    """Put "a" or "an" before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"

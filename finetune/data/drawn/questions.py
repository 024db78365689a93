"""Questions about a drawn scene, with their exact answers, in English or Chinese. It knows no prompts and no models."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from random import Random

from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.scenes import COLORS, SHAPES, WORDS, Scene, Thing
from finetune.data.drawn.wording import Wording


@dataclass(frozen=True)
class Question:
    """A question, its kind, its answer, a wrong answer of the same form, and a planner's step for it."""

    kind: str
    text: str
    answer: str
    wrong: str
    step: str


@dataclass(frozen=True)
class Asker:
    """How questions are worded."""

    rng: Random
    words: Wording = ENGLISH
    unseen: bool = False
    """In the wordings that no training sees."""

    def __call__(self, what: str, kind: str, answer: str, wrong: str, step: str = "", **filled: str) -> Question:
        """Return the question in one of its wordings."""
        text = self.words.question(self.rng, what, unseen=self.unseen, **filled)
        return Question(kind, text, answer, wrong, self.words.steps[what].format(what=step))


MARGIN = 0.06  # of the picture's side: closer than this, neither is "above" or "left of" the other
CANNOT_TELL = ENGLISH.say["unknown"]
EDGES: dict[str, Callable[[Scene], Thing]] = {
    "left": lambda s: min(s.things, key=lambda t: t.x),
    "right": lambda s: max(s.things, key=lambda t: t.x),
    "top": lambda s: min(s.things, key=lambda t: t.y),
    "bottom": lambda s: max(s.things, key=lambda t: t.y),
}
AXES = {"left": "x", "right": "x", "above": "y", "below": "y"}


def named(words: Wording, thing: Thing) -> str:
    """Name a thing by colour and shape."""
    return words.name(thing.color, thing.shape)


def box_json(words: Wording, scene: Scene, thing: Thing) -> str:
    """Return the thing's box as Qwen3-VL writes it, compact."""
    return json.dumps([{"bbox_2d": scene.box(thing), "label": named(words, thing)}], ensure_ascii=False)


def _other(rng: Random, options: Sequence[str], *but: str) -> str:
    return rng.choice([o for o in options if o not in but])


def _matches(thing: Thing, words: Sequence[str]) -> bool:
    return all(w in (thing.size, thing.color, thing.shape) for w in words)


def _count(ask: Asker, scene: Scene) -> Question:
    rng = ask.rng
    thing = rng.choice(scene.things) if scene.things else None
    color = thing.color if thing and rng.random() < 0.75 else rng.choice(list(COLORS))
    shape = thing.shape if thing and rng.random() < 0.75 else rng.choice(SHAPES)
    size = thing.size if thing else "small"
    words = rng.choice(((), (), (color,), (shape,), (color, shape), (size,)))
    n = sum(_matches(t, words) for t in scene.things)
    wrong = rng.choice([k for k in range(max(0, n - 2), n + 3) if k != n])
    many = ask.words.many(rng, *words)
    return ask("count", "count", str(n), str(wrong), many, many=many)


def _asked_about(rng: Random, present: Sequence[str], every: Sequence[str]) -> str:
    """Choose what a question presupposes: mostly something that is there once, as people speak of "the star"."""
    once = [word for word in present if present.count(word) == 1]
    chance = rng.random()
    if once and chance < 0.9:
        return rng.choice(once)
    return rng.choice(present if present and chance < 0.96 else every)


def _color(ask: Asker, scene: Scene) -> Question:
    words, rng = ask.words, ask.rng
    shape = _asked_about(rng, [t.shape for t in scene.things], SHAPES)
    found = [t.color for t in scene.things if t.shape == shape]
    answer = (
        words.listed([words.word(c) for c in found]) if found else words.say["no shape"].format(what=words.name(shape))
    )
    wrong = words.word(_other(rng, list(COLORS), *found))
    name = words.asked(rng, shape)
    return ask("color", "color", answer, wrong, name, name=name)


def _shape(ask: Asker, scene: Scene) -> Question:
    words, rng = ask.words, ask.rng
    color = _asked_about(rng, [t.color for t in scene.things], list(COLORS))
    found = [t.shape for t in scene.things if t.color == color]
    name = words.word(color)
    answer = words.listed([words.word(s) for s in found]) if found else words.say["no color"].format(what=name)
    wrong = words.word(_other(rng, SHAPES, *found)) if len(set(found)) < len(SHAPES) else words.say["none"]
    return ask("shape", "shape", answer, wrong, name, name=name)


def _exist(ask: Asker, scene: Scene) -> Question:
    words, rng = ask.words, ask.rng
    what: tuple[str, ...] = (rng.choice(list(COLORS)), rng.choice(SHAPES))
    if scene.things and rng.random() < 0.5:
        thing = rng.choice(scene.things)
        named_by = ((thing.shape,), (thing.color, thing.shape), (thing.color, thing.shape))
        what = rng.choice((*named_by, (thing.size, thing.color, thing.shape)))
    elif scene.things and rng.random() < 0.7:  # a near miss: a colour of one thing on the shape of another
        what = (rng.choice(scene.things).color, rng.choice(scene.things).shape)
    yes = any(_matches(t, what) for t in scene.things)
    answer, wrong = ("yes", "no") if yes else ("no", "yes")
    one = words.one(words.asked(rng, *what))
    return ask("exist", "exist", words.say[answer], words.say[wrong], one, one=one)


def _caption(ask: Asker, scene: Scene) -> Question:
    words, rng = ask.words, ask.rng
    names = [words.name(t.size, t.color, t.shape) for t in scene.things]
    changed = list(names)
    if names:
        i, t = rng.randrange(len(names)), rng.choice(scene.things)
        t = scene.things[i]
        swap = rng.choice(("color", "shape", "drop"))
        if swap == "drop":
            del changed[i]
        elif swap == "color":
            changed[i] = words.name(t.size, _other(rng, list(COLORS), t.color), t.shape)
        else:
            changed[i] = words.name(t.size, t.color, _other(rng, SHAPES, t.shape))
    else:
        changed = [words.name("small", rng.choice(list(COLORS)), rng.choice(SHAPES))]
    return ask("caption", "caption", words.caption(names), words.caption(changed))


def _unique(scene: Scene) -> list[Thing]:
    return [t for t in scene.things if sum(o.name == t.name for o in scene.things) == 1]


def _relation(ask: Asker, scene: Scene) -> Question | None:
    words, rng = ask.words, ask.rng
    unique = _unique(scene)
    if len(unique) >= 2 and rng.random() < 0.6:
        a, b = rng.sample(unique, 2)
        side = rng.choice(list(AXES))
        delta = (a.x - b.x) / scene.width if AXES[side] == "x" else (a.y - b.y) / scene.height
        if abs(delta) < MARGIN:
            return None
        true = (delta < 0) == (side in ("left", "above"))
        answer, wrong = ("is", "is not") if true else ("is not", "is")
        first, second = named(words, a), named(words, b)
        filled = {"a": first, "b": second, "side": rng.choice(words.sides[side])}
        return ask("relation", "relation", words.say[answer], words.say[wrong], words.listed([first, second]), **filled)
    if not scene.things:
        return None
    edge = rng.choice(list(EDGES))
    thing = EDGES[edge](scene)
    vertical = edge in ("top", "bottom")
    gaps = [
        abs(t.y - thing.y) / scene.height if vertical else abs(t.x - thing.x) / scene.width
        for t in scene.things if t is not thing
    ]  # fmt: skip
    if gaps and min(gaps) < MARGIN / 2:
        return None
    others = [named(words, t) for t in scene.things if t.name != thing.name]
    wrong = rng.choice(others) if others else words.name(_other(rng, list(COLORS), thing.color), thing.shape)
    said = rng.choice(words.edges[edge])
    return ask("edge", "relation", named(words, thing), wrong, said, edge=said)


def _size(ask: Asker, scene: Scene) -> Question | None:
    words, rng = ask.words, ask.rng
    unique = _unique(scene)
    if not unique:
        return None
    t = rng.choice(unique)
    name = words.asked(rng, t.color, t.shape)
    return ask(
        "size", "size", words.word(t.size), words.word("small" if t.size == "large" else "large"), name, name=name
    )


def _word(ask: Asker, scene: Scene) -> Question | None:
    rng = ask.rng
    if scene.word is None:
        return ask("word", "word", ask.words.say["no text"], "STOP") if rng.random() < 0.04 else None
    return ask("word", "word", scene.word, _other(rng, WORDS, scene.word))


def _locate(ask: Asker, scene: Scene) -> Question | None:
    words, rng = ask.words, ask.rng
    unique = _unique(scene)
    if not unique:
        return None
    t = rng.choice(unique)
    others = [o for o in scene.things if o is not t]
    wrong_box = scene.box(rng.choice(others)) if others and rng.random() < 0.6 else _moved(rng, scene.box(t))
    label = named(words, t)
    wrong = json.dumps([{"bbox_2d": wrong_box, "label": label}], ensure_ascii=False)
    return ask("locate", "locate", box_json(words, scene, t), wrong, label, name=label)


def _moved(rng: Random, box: Sequence[int]) -> list[int]:
    """Return the box moved along one axis so far that it overlaps with what it was by an IoU under 0.5."""
    axis, sign = rng.randrange(2), rng.choice((-1, 1))
    side = box[axis + 2] - box[axis]
    by = sign * 10 * ceil(side * rng.uniform(0.4, 1.5) / 10)  # boxes are in tens
    if box[axis] + by < 0 or box[axis + 2] + by > 1000:
        by = -by
    return [max(0, min(1000, v + by)) if n % 2 == axis else v for n, v in enumerate(box)]


def can_be_located(scene: Scene | None) -> bool:
    """Say whether a thing of the scene is the only one of its name."""
    return scene is not None and bool(_unique(scene))


def locate(rng: Random, scene: Scene, words: Wording) -> Question:
    """Ask for the box of a thing; requires a scene that `can_be_located`."""
    question = _locate(Asker(rng, words), scene)
    assert question is not None, "no thing stands alone under its name"
    return replace(question, text=words.casual(rng, words.pointed(rng, question.text)))


def _unknown(ask: Asker, scene: Scene | None) -> Question:
    wrong = ask.rng.choice((ask.words.say["yes"], "3", ask.words.word("red")))
    return ask("unknown", "unknown", ask.words.say["unknown"], wrong)


ASKERS: dict[Callable[[Asker, Scene], Question | None], float] = {
    _count: 24, _color: 18, _shape: 14, _exist: 10, _caption: 10, _relation: 20, _size: 6,
    _locate: 11, _unknown: 7,
}  # fmt: skip


def ask(rng: Random, scene: Scene | None, words: Wording = ENGLISH, *, unseen: bool = False) -> Question:
    """Draw a question about the scene, written as people type.

    Args:
        rng: Decides everything.
        scene: None for a picture that is no scene, of which nothing can be told whatever is asked.
        words: In which language.
        unseen: In wordings that no training sees.
    """
    asker = Asker(rng, words, unseen)
    question = None
    while question is None:
        if scene is None:
            question = _about_nothing(asker)
            break
        kind = rng.choices(list(ASKERS), list(ASKERS.values()))[0]
        if (scene.word is not None and rng.random() < 0.4) or rng.random() < 0.04:
            kind = _word
        question = kind(asker, scene)
    text = question.text if unseen or question.kind in _UNPOINTED else words.pointed(rng, question.text)
    return replace(question, text=words.casual(rng, text))


_UNPOINTED = ("unknown", "caption")
"""Kinds of questions that speak of the picture already."""


def _about_nothing(ask: Asker) -> Question:
    """Ask about a photograph or a page as if it were a scene: nothing of it can be told."""
    words, rng = ask.words, ask.rng
    name = words.name(rng.choice(list(COLORS)), rng.choice(SHAPES))
    filled = {"name": name, "many": words.many(rng), "one": words.one(name)}
    what = rng.choice(("caption", "caption", "color", "shape", "unknown", "locate", "size", "count"))
    text = words.question(rng, what, unseen=ask.unseen, **filled)
    step = words.steps["unknown"]
    return Question("unknown", text, words.say["unknown"], rng.choice((words.say["yes"], "3", words.word("red"))), step)


def compare(rng: Random, first: Scene, second: Scene, words: Wording = ENGLISH, *, unseen: bool = False) -> Question:
    """Ask which of two pictures has more of something, or how much one of them has."""
    color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
    pool = [*first.things, *second.things]
    if pool and rng.random() < 0.8:
        color, shape = rng.choice(pool).color, rng.choice(pool).shape
    about = rng.choice(((), (), (color,), (shape,)))
    many = words.many(rng, *about)
    a, b = (sum(_matches(t, about) for t in s.things) for s in (first, second))
    if rng.random() < 0.6:
        what, answer = "more", words.say["first" if a > b else "second" if b > a else "same"]
        wrong = _other(rng, [words.say[k] for k in ("first", "second", "same")], answer)
    else:
        which = rng.randrange(2)
        what, answer = ("count first", "count second")[which], str((a, b)[which])
        wrong = str((a, b)[which] + rng.choice((1, 2)))
    text = words.casual(rng, words.question(rng, what, unseen=unseen, many=many))
    return Question("compare", text, answer, wrong, words.steps["compare"].format(what=many))


def terse(rng: Random, scene: Scene, words: Wording) -> tuple[str, str, str]:
    """Return a kind, a few words and what is to follow them at once.

    To answer a question takes two steps, from the last token to the named thing and from its name to the picture. Here
    the name comes last, so that one step is enough: that is learned first, and in a tenth of the tokens.
    """
    space = " " if words.code == "en" else ""
    while True:
        found = rng.choices(list(TERSE), list(TERSE.values()))[0](Asker(rng, words), scene)
        if found is not None:
            kind, given, answer = found
            return kind, space + given, answer


Terse = tuple[str, str, str]


def _terse_color(ask: Asker, scene: Scene) -> Terse | None:
    shapes = [t.shape for t in scene.things]
    once = [t for t in scene.things if shapes.count(t.shape) == 1]
    if not once:
        return None
    t = ask.rng.choice(once)
    return "color", ask.words.asked(ask.rng, t.shape), ask.words.word(t.color)


def _terse_shape(ask: Asker, scene: Scene) -> Terse | None:
    colors = [t.color for t in scene.things]
    once = [t for t in scene.things if colors.count(t.color) == 1]
    if not once:
        return None
    t = ask.rng.choice(once)
    return "shape", ask.words.word(t.color), ask.words.word(t.shape)


def _terse_locate(ask: Asker, scene: Scene) -> Terse | None:
    unique = _unique(scene)
    if not unique:
        return None
    t = ask.rng.choice(unique)
    return "locate", named(ask.words, t), " [" + ", ".join(map(str, scene.box(t))) + "]"


def _terse_size(ask: Asker, scene: Scene) -> Terse | None:
    unique = _unique(scene)
    if not unique:
        return None
    t = ask.rng.choice(unique)
    return "size", ask.words.asked(ask.rng, t.color, t.shape), ask.words.word(t.size)


def _terse_count(ask: Asker, scene: Scene) -> Terse:
    question = _count(ask, scene)
    return "count", question.step.removeprefix("count the ").removeprefix("数一数"), question.answer


def _terse_exist(ask: Asker, scene: Scene) -> Terse:
    question = _exist(ask, scene)
    return "exist", question.step.removeprefix("look for ").removeprefix("找一找"), question.answer


def _terse_relation(ask: Asker, scene: Scene) -> Terse | None:
    question = _relation(ask, scene)
    if question is None:
        return None
    given = question.text.removeprefix("Is the ").removeprefix("What is the ").removeprefix("Which ")
    return "relation", given.rstrip("?？"), question.answer


def _terse_word(ask: Asker, scene: Scene) -> Terse | None:
    return None if scene.word is None else ("word", "word" if ask.words.code == "en" else "文字", scene.word)


TERSE: dict[Callable[[Asker, Scene], Terse | None], float] = {
    _terse_color: 25, _terse_shape: 25, _terse_locate: 12, _terse_size: 6, _terse_count: 12, _terse_exist: 12,
    _terse_relation: 16, _terse_word: 12,
}  # fmt: skip

"""Questions about a drawn scene, with their exact answers. It knows nothing of prompts or models."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from finetune.data.drawn.scenes import COLORS, SHAPES, WORDS, Scene, Thing


@dataclass(frozen=True)
class Question:
    """A question, its kind, its answer, a wrong answer of the same form, and a planner's step for it."""

    kind: str
    text: str
    answer: str
    wrong: str
    step: str


PLURAL = {"cross": "crosses"}
COUNTS = (
    "How many {what} are there?",
    "How many {what} are there?",
    "How many {what} are in the picture?",
    "How many {what} do you see?",
    "How many {what} can you see in the image?",
    "Count the {what}.",
)
EXISTS = (
    "Is there {what}?",
    "Is there {what} in the picture?",
    "Do you see {what}?",
    "Does the picture show {what}?",
)
COLOR_OF = ("What color is the {what}?", "What colour is the {what}?", "What is the color of the {what}?")
SHAPE_OF = ("What shape is the {what} object?", "What is the shape of the {what} object?", "Which shape is {what}?")
CAPTIONS = (
    "Describe the picture.",
    "Describe the image.",
    "What do you see?",
    "What is in the picture?",
    "Write a caption for this picture.",
    "Describe this image in one sentence.",
)
LOCATES = (
    "Locate the {what}.",
    "Where is the {what}?",
    "Find the {what} and give its box.",
    "Give the bounding box of the {what}.",
)
WORD_QUESTIONS = ("What does the sign say?", "Read the word.", "What word is written?", "Read the text in the picture.")
UNKNOWN = (
    "Who is this?", "What is the person doing?", "What animal is this?", "Where was this taken?",
    "What time is it?", "What brand is it?", "How old is it?", "What is the weather like?",
    "What is the name of the street?", "What is the car's number plate?",
)  # fmt: skip
CANNOT_TELL = "I cannot tell from this picture."
EDGES = {
    "leftmost": lambda s: min(s.things, key=lambda t: t.x),
    "rightmost": lambda s: max(s.things, key=lambda t: t.x),
    "topmost": lambda s: min(s.things, key=lambda t: t.y),
    "lowest": lambda s: max(s.things, key=lambda t: t.y),
}  # fmt: skip
MARGIN = 0.06  # of the picture's side: closer than this, neither is "above" or "left of" the other


def plural(noun: str) -> str:
    """Return the plural of a shape's name."""
    return PLURAL.get(noun, noun + "s")


def with_article(words: str) -> str:
    """Put "a" or "an" before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def caption(things: tuple[Thing, ...]) -> str:
    """Say how many things there are and name them from left to right."""
    if not things:
        return "The picture is empty."
    names = [t.phrase for t in things]
    if len(names) == 1:
        return f"There is 1 object: {names[0]}."
    return f"There are {len(names)} objects: {', '.join(names[:-1])} and {names[-1]}."


def box_json(scene: Scene, thing: Thing) -> str:
    """Return the thing's box as Qwen3-VL writes it, compact."""
    return json.dumps([{"bbox_2d": scene.box(thing), "label": thing.name}])


def _other(rng: Random, options: tuple[str, ...] | list[str], *but: str) -> str:
    return rng.choice([o for o in options if o not in but])


def _described(rng: Random, thing: Thing) -> str:
    return rng.choice((thing.shape, thing.name, thing.name, f"{thing.size} {thing.name}"))


def _matches(thing: Thing, words: str) -> bool:
    return all(w in (thing.size, thing.color, thing.shape) for w in words.split())


def _count(rng: Random, scene: Scene) -> Question:
    thing = rng.choice(scene.things) if scene.things else None
    color = thing.color if thing and rng.random() < 0.75 else rng.choice(list(COLORS))
    shape = thing.shape if thing and rng.random() < 0.75 else rng.choice(SHAPES)
    size = thing.size if thing else "small"
    words, noun = rng.choice((
        ("", rng.choice(("objects", "objects", "things", "shapes"))),
        ("", "objects"),
        (color, f"{color} {rng.choice(('objects', 'objects', 'things', 'shapes'))}"),
        (shape, plural(shape)),
        (f"{color} {shape}", f"{color} {plural(shape)}"),
        (size, f"{size} objects"),
    ))  # fmt: skip
    n = sum(_matches(t, words) for t in scene.things)
    wrong = rng.choice([k for k in range(max(0, n - 2), n + 3) if k != n])
    return Question("count", rng.choice(COUNTS).format(what=noun), str(n), str(wrong), f"count the {noun}")


def _names(options: list[str]) -> str:
    unique = list(dict.fromkeys(options))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"


def _asked_about(rng: Random, present: Sequence[str], every: Sequence[str]) -> str:
    """Choose what a question presupposes: mostly something that is there once, as people speak of "the star"."""
    once = [word for word in present if present.count(word) == 1]
    chance = rng.random()
    if once and chance < 0.9:
        return rng.choice(once)
    return rng.choice(present if present and chance < 0.96 else every)


def _color(rng: Random, scene: Scene) -> Question:
    shape = _asked_about(rng, [t.shape for t in scene.things], SHAPES)
    found = [t.color for t in scene.things if t.shape == shape]
    answer = _names(found) if found else f"There is no {shape}."
    wrong = _other(rng, list(COLORS), *found)
    return Question("color", rng.choice(COLOR_OF).format(what=shape), answer, wrong, f"look at the {shape}")


def _shape(rng: Random, scene: Scene) -> Question:
    color = _asked_about(rng, [t.color for t in scene.things], list(COLORS))
    found = [t.shape for t in scene.things if t.color == color]
    answer = _names(found) if found else f"There is no {color} object."
    wrong = _other(rng, SHAPES, *found) if len(set(found)) < len(SHAPES) else "none"
    return Question("shape", rng.choice(SHAPE_OF).format(what=color), answer, wrong, f"look at the {color} object")


def _exist(rng: Random, scene: Scene) -> Question:
    what = f"{rng.choice(list(COLORS))} {rng.choice(SHAPES)}"
    if scene.things and rng.random() < 0.5:
        what = _described(rng, rng.choice(scene.things))
    elif scene.things and rng.random() < 0.7:  # a near miss: a colour of one thing on the shape of another
        what = f"{rng.choice(scene.things).color} {rng.choice(scene.things).shape}"
    yes = any(_matches(t, what) for t in scene.things)
    answer, wrong = ("yes", "no") if yes else ("no", "yes")
    return Question(
        "exist", rng.choice(EXISTS).format(what=with_article(what)), answer, wrong, f"look for {with_article(what)}"
    )


def _caption(rng: Random, scene: Scene) -> Question:
    things = list(scene.things)
    if things:
        i = rng.randrange(len(things))
        t = things[i]
        swap = rng.choice(("color", "shape", "drop"))
        if swap == "drop":
            del things[i]
        else:
            changed = _other(rng, list(COLORS), t.color) if swap == "color" else _other(rng, SHAPES, t.shape)
            color, shape = (changed, t.shape) if swap == "color" else (t.color, changed)
            things[i] = Thing(shape, color, t.size, t.x, t.y, t.r)
        wrong = caption(tuple(things))
    else:
        wrong = f"There is 1 object: a small {rng.choice(list(COLORS))} {rng.choice(SHAPES)}."
    return Question(
        "caption", rng.choice(CAPTIONS), caption(scene.things), wrong, "name the objects from left to right"
    )


def _unique(scene: Scene) -> list[Thing]:
    return [t for t in scene.things if sum(o.name == t.name for o in scene.things) == 1]


def _relation(rng: Random, scene: Scene) -> Question | None:
    unique = _unique(scene)
    if len(unique) >= 2 and rng.random() < 0.6:
        a, b = rng.sample(unique, 2)
        axis = rng.choice(("x", "y"))
        delta = (a.x - b.x) / scene.width if axis == "x" else (a.y - b.y) / scene.height
        if abs(delta) < MARGIN:
            return None
        words = ("left of", "right of") if axis == "x" else ("above", "below")
        k = rng.randrange(2)
        true = (delta < 0) == (k == 0)
        answer, wrong = ("yes", "no") if true else ("no", "yes")
        lead = "to the " if axis == "x" and rng.random() < 0.4 else ""
        text = f"Is the {a.name} {lead}{words[k]} the {b.name}?"
        return Question("relation", text, answer, wrong, f"compare the places of the {a.name} and the {b.name}")
    if not scene.things:
        return None
    edge = rng.choice(list(EDGES))
    thing = EDGES[edge](scene)
    axis_y = edge in ("topmost", "lowest")
    gaps = [
        abs(t.y - thing.y) / scene.height if axis_y else abs(t.x - thing.x) / scene.width
        for t in scene.things if t is not thing
    ]  # fmt: skip
    if gaps and min(gaps) < MARGIN / 2:
        return None
    others = [t.name for t in scene.things if t.name != thing.name]
    wrong = rng.choice(others) if others else f"{_other(rng, list(COLORS), thing.color)} {thing.shape}"
    return Question("relation", f"What is the {edge} object?", thing.name, wrong, f"find the {edge} object")


def _size(rng: Random, scene: Scene) -> Question | None:
    unique = _unique(scene)
    if not unique:
        return None
    t = rng.choice(unique)
    wrong = "small" if t.size == "large" else "large"
    text = rng.choice((f"Is the {t.name} small or large?", f"How large is the {t.name}?"))
    return Question("size", text, t.size, wrong, f"look at the {t.name}")


def _word(rng: Random, scene: Scene) -> Question | None:
    if scene.word is None:
        if rng.random() < 0.9:
            return None
        return Question("word", rng.choice(WORD_QUESTIONS), "There is no text.", "STOP", "read the text")
    return Question("word", rng.choice(WORD_QUESTIONS), scene.word, _other(rng, WORDS, scene.word), "read the text")


def _locate(rng: Random, scene: Scene) -> Question | None:
    unique = _unique(scene)
    if not unique:
        return None
    t = rng.choice(unique)
    wrong_box = [min(1000, v + 200) if v < 500 else v - 200 for v in scene.box(t)]
    others = [o for o in scene.things if o is not t]
    if others and rng.random() < 0.6:
        wrong_box = scene.box(rng.choice(others))
    wrong = json.dumps([{"bbox_2d": wrong_box, "label": t.name}])
    return Question("locate", rng.choice(LOCATES).format(what=t.name), box_json(scene, t), wrong, f"find the {t.name}")


def _unknown(rng: Random, scene: Scene) -> Question:
    return Question("unknown", rng.choice(UNKNOWN), CANNOT_TELL, rng.choice(("yes", "3", "red")), "look at the picture")


ASKERS: dict[Callable[[Random, Scene], Question | None], float] = {
    _count: 22, _color: 18, _shape: 14, _exist: 12, _caption: 10, _relation: 18, _size: 2,
    _locate: 9, _unknown: 1,
}  # fmt: skip


def ask(rng: Random, scene: Scene, ease: float = 0.0, *, seeing: bool = False) -> Question:
    """Draw a question about the scene; sometimes without its capital or its question mark, as people type.

    With `ease` above 0 captions are asked for more often, because they name everything and so teach to see, and
    boxes more seldom, because their digits are noise as long as nothing is seen. With `seeing` only what can be seen at
    a glance is asked for: no boxes, no words, nothing that cannot be told.
    """
    weights = {**ASKERS, _locate: ASKERS[_locate] * (1 - ease)}
    if seeing:
        weights |= {_locate: 0, _unknown: 0}
    question = None
    while question is None:
        if rng.random() < 0.35 * ease:
            question = _caption(rng, scene)
            break
        asker = rng.choices(list(weights), list(weights.values()))[0]
        if not seeing and scene.word is not None and rng.random() < 0.4:
            asker = _word
        question = asker(rng, scene)
    return Question(question.kind, casual(rng, question.text), question.answer, question.wrong, question.step)


def casual(rng: Random, text: str) -> str:
    """Drop the capital of the first word or the closing mark now and then."""
    if rng.random() < 0.12:
        text = text[0].lower() + text[1:]
    return text[:-1] if rng.random() < 0.12 else text


def compare(rng: Random, first: Scene, second: Scene) -> Question:
    """Ask which of two pictures has more of something, or whether both have it."""
    color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
    pool = [*first.things, *second.things]
    if pool and rng.random() < 0.8:
        color, shape = rng.choice(pool).color, rng.choice(pool).shape
    words, noun = rng.choice((("", "objects"), ("", "objects"), (color, f"{color} objects"), (shape, plural(shape))))
    a, b = (sum(_matches(t, words) for t in s.things) for s in (first, second))
    if rng.random() < 0.6:
        answer = "the first" if a > b else "the second" if b > a else "both have the same number"
        wrong = _other(rng, ("the first", "the second", "both have the same number"), answer)
        return Question(
            "compare",
            casual(rng, f"Which picture has more {noun}?"),
            answer,
            wrong,
            f"count the {noun} in each picture",
        )
    which = rng.randrange(2)
    n = (a, b)[which]
    text = f"How many {noun} are in the {('first', 'second')[which]} picture?"
    return Question(
        "compare", casual(rng, text), str(n), str(n + rng.choice((1, 2))), f"count the {noun} in each picture"
    )

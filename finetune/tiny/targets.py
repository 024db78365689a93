"""What each visual token of drawn pictures shows: the targets of dense training. It knows no model.

Letters for shapes: N pictures, R rows and K columns of visual tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch

from finetune.data.drawn.scenes import ALPHABET, COLORS, MAX_THINGS, SHAPES, WORDS, Scene, Thing, outline
from finetune.tiny import pictures
from finetune.tiny.build import IGNORE_INDEX
from finetune.tiny.patches import CELL

COVERED_SHARE = 0.12  # of a token's area under a thing's box, from which it is said to show the thing
PLACES = 20  # into which each axis of a picture is divided
OF_THINGS = {
    "color": len(COLORS), "shape": len(SHAPES), "size": 2, "rank": MAX_THINGS,
    "left": PLACES, "top": PLACES, "right": PLACES, "bottom": PLACES,
}  # fmt: skip
OF_LETTERS = {"order": max(map(len, WORDS)), "first": len(ALPHABET), "last": len(ALPHABET)}
CLASSES = OF_THINGS | OF_LETTERS


@dataclass(frozen=True)
class Targets:
    """What each visual token shows; classes are `IGNORE_INDEX` where it shows no thing or no letter."""

    middle: torch.Tensor
    """Whether a thing's middle lies in it, (N, R, K)."""
    covered: torch.Tensor
    """Whether it shows a thing, (N, R, K)."""
    classes: dict[str, torch.Tensor]
    """By name in `CLASSES`, (N, R, K): of the thing colour, shape, size, place in the order from left to right and the
    twentieth of the picture's side in which each edge of its box lies; of the letters that have their middle in the
    token the leftmost, the rightmost, and the leftmost one's place in the word."""
    box: torch.Tensor
    """The thing's box relative to the token's middle, in tokens, (N, R, K, 4)."""
    place: torch.Tensor
    """The thing's box in shares of the picture's sides, (N, R, K, 4)."""
    letter: torch.Tensor
    """The letter nearest to the token's middle, 0 for none, (N, R, K)."""
    letters: torch.Tensor
    """Which letters have their middle in it, (N, R, K, 26)."""


def targets_of(drawings: pictures.Drawings) -> Targets:
    """Return what each visual token of the pictures shows."""
    count, height, width, _ = drawings.pixels.shape
    rows, columns = height // CELL, width // CELL
    shape = (count, rows, columns)
    targets = Targets(
        middle=torch.zeros(shape),
        covered=torch.zeros(shape),
        classes={name: torch.full(shape, IGNORE_INDEX) for name in CLASSES},
        box=torch.zeros(*shape, 4),
        place=torch.zeros(*shape, 4),
        letter=torch.zeros(shape, dtype=torch.long),
        letters=torch.zeros(*shape, len(ALPHABET)),
    )
    for n, scene in enumerate(drawings.scenes):
        if scene is not None:
            _mark_things(targets, n, scene, rows, columns)
            _mark_letters(targets, n, scene, rows, columns)
    return targets


def _mark_things(targets: Targets, n: int, scene: Scene, rows: int, columns: int) -> None:
    for (row, column), (rank, bounds, is_middle) in _tokens_of_things(scene, rows, columns).items():
        at = (n, row, column)
        targets.covered[at], targets.middle[at] = 1, is_middle
        for name, wanted in _classes_of(scene.things[rank], rank).items():
            targets.classes[name][at] = wanted
        place = np.array(bounds) / (columns, rows, columns, rows)
        for name, share in zip(("left", "top", "right", "bottom"), place, strict=True):
            targets.classes[name][at] = min(PLACES - 1, max(0, int(share * PLACES)))
        targets.place[at] = torch.from_numpy(place)
        targets.box[at] = torch.from_numpy(np.array(bounds) - np.array((column, row, column, row)) - 0.5)


def _classes_of(thing: Thing, rank: int) -> dict[str, int]:
    return {
        "color": list(COLORS).index(thing.color), "shape": SHAPES.index(thing.shape),
        "size": int(thing.size == "large"), "rank": rank,
    }  # fmt: skip


def _mark_letters(targets: Targets, n: int, scene: Scene, rows: int, columns: int) -> None:
    if scene.word is None or scene.lettering is None:
        return
    nearest: dict[int, float] = {}
    row = min(rows - 1, int(scene.lettering.y * rows / scene.height))
    for order, (char, x) in enumerate(scene.lettering.letters(scene.word)):
        middle, number = x * columns / scene.width, ALPHABET.index(char)
        column = min(columns - 1, max(0, int(middle)))
        at = (n, row, column)
        if not targets.letters[at].any():
            targets.classes["order"][at], targets.classes["first"][at] = order, number
        targets.classes["last"][at] = number
        targets.letters[at][number] = 1
        off = abs(middle - column - 0.5)
        if off < nearest.get(column, 1.0):
            nearest[column], targets.letter[at] = off, number + 1


def _tokens_of_things(
    scene: Scene, rows: int, columns: int
) -> dict[tuple[int, int], tuple[int, tuple[float, float, float, float], bool]]:
    """Return, by token, the thing that it shows, that thing's box in tokens, and whether its middle lies there."""
    shown: dict[tuple[int, int], tuple[int, tuple[float, float, float, float], bool]] = {}
    most: dict[tuple[int, int], float] = {}
    across, down = columns / scene.width, rows / scene.height
    for rank, thing in enumerate(scene.things):
        xs, ys = zip(*outline(thing), strict=True)
        x1, y1, x2, y2 = bounds = (min(xs) * across, min(ys) * down, max(xs) * across, max(ys) * down)
        for row in range(max(0, int(y1)), min(rows, int(y2) + 1)):
            for column in range(max(0, int(x1)), min(columns, int(x2) + 1)):
                share = (min(x2, column + 1) - max(x1, column)) * (min(y2, row + 1) - max(y1, row))
                if share >= COVERED_SHARE and share > most.get((row, column), 0.0):
                    most[row, column], shown[row, column] = share, (rank, bounds, False)
        at = (min(rows - 1, int(thing.y * down)), min(columns - 1, int(thing.x * across)))
        most[at], shown[at] = 2.0, (rank, bounds, True)
    return shown

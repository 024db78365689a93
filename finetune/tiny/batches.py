"""The endless, reproducible stream of the language stage's batches: batch number i depends on the seed and i alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.utils.data import IterableDataset

from finetune.data.drawn.protocol import (
    compare_branch,
    long_branch,
    picture_branch,
    plan_branches,
    reading_branches,
    terse_branch,
)
from finetune.data.drawn.questions import can_be_located
from finetune.data.drawn.scenes import Scene
from finetune.tiny import pictures
from finetune.tiny.features import feature_file, grid_of, in_slots
from finetune.tiny.rows import Branch, Layout, Rows, RowWriter
from finetune.tiny.targets import Targets, targets_of

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

Kind = Literal["pictures", "long", "compare", "text"]
LAYOUTS: dict[Kind, Layout] = {
    "pictures": Layout(rows=16, pictures=1, text=0),
    "long": Layout(rows=6, pictures=1, text=0, lanes=2, lane=240),  # a long answer, its review and its rewrite
    "compare": Layout(rows=4, pictures=2, text=0),
    "text": Layout(rows=12, pictures=0, text=100, lanes=1, lane=144),  # an answer, its review and its rewrite
}
# To find the thing that a question names is learned on pictures of one to three things, by plain questions alone;
# over these steps the pictures grow to the whole world and the agent's protocol comes in.
EASY_STEPS, EASY_THINGS = 500, 3
# Terse talks alone at first, then fewer and fewer.
TERSE_STEPS, TERSE_SHARE = 300, 0.4
MAX_PASSAGES, PASSAGE_STEPS = 4, 400  # one passage more every so many steps
EASY_BEGINNING = max(EASY_STEPS, 2 * TERSE_STEPS, MAX_PASSAGES * PASSAGE_STEPS)
"""From this batch on they are as hard as they get."""


@dataclass(frozen=True)
class Part:
    """Rows of one kind with what the tower says of their pictures, or with the pictures themselves."""

    kind: Kind
    rows: Rows
    features: torch.Tensor | None
    """(B, pictures, V, 1 + deepstack, C); None where there are no pictures, or `pixels` holds them."""
    pixels: np.ndarray | None = None
    """(B * pictures, H, W, 3) of bytes."""
    targets: Targets | None = None
    """What the visual tokens of `pixels` show."""


class Store:
    """The pictures of a run by what is in them, and their features."""

    def __init__(self, drawn: Path, features: Path, files: int) -> None:
        self.drawn = drawn
        loaded = [pictures.load(drawn, number) for number in range(files)]
        self.scenes = [one.scenes for one in loaded]
        self.grids = [grid_of(one.pixels.shape) for one in loaded]
        self.features = [np.load(feature_file(features, number), mmap_mode="r") for number in range(files)]
        self.easy = [
            (f, n)
            for f, scenes in enumerate(self.scenes)
            for n, scene in enumerate(scenes)
            if scene is not None and 1 <= len(scene.things) <= EASY_THINGS
        ]

    def sample(self, rng: Random, ease: float) -> tuple[int, int]:
        """Draw a picture, with the probability `ease` an easy one; returns file and number in it."""
        if rng.random() < ease:
            return rng.choice(self.easy)
        file = rng.randrange(len(self.scenes))
        return file, rng.randrange(len(self.scenes[file]))

    def sample_of(self, rng: Random, file: int, kind: Kind) -> int:
        """Draw a picture of one file that such a row may be about."""
        while True:
            number = rng.randrange(len(self.scenes[file]))
            if fits(self.scenes[file][number], kind):
                return number


def fits(scene: Scene | None, kind: Kind) -> bool:
    """Say whether rows of the kind may be about a picture: a scene, or any, or None for what is no scene."""
    return can_be_located(scene) if kind == "long" else scene is not None or kind == "pictures"


def make_batch(store: Store, writer: RowWriter, seed: int, number: int, *, released: bool = False) -> list[Part]:
    """Return batch `number`: rows about pictures, and some of text, about two pictures or with long answers.

    Args:
        store: Of pictures and features.
        writer: Of the rows.
        seed: Of the run.
        number: Of the batch.
        released: Whether the pictures are handed over, all of one size, instead of the features.
    """
    rng = Random(f"{seed}/{number}")
    ease = max(0.0, 1 - number / EASY_STEPS)
    terse = max(TERSE_SHARE, min(1.0, 2 - number / TERSE_STEPS))
    kinds: list[Kind] = ["pictures"]
    if number >= TERSE_STEPS or number % 4 == 0:
        kinds.append("text")
    if number >= TERSE_STEPS and number % 3 == 0:
        kinds.append("compare")
    if number >= EASY_STEPS and number % 3 == 1:
        kinds.append("long")
    most = min(MAX_PASSAGES, 1 + number // PASSAGE_STEPS)
    return [_part(store, writer, rng, kind, ease, terse, released, most) for kind in kinds]


def _part(
    store: Store, writer: RowWriter, rng: Random, kind: Kind, ease: float, terse: float, released: bool, most: int
) -> Part:
    layout = LAYOUTS[kind]
    if kind == "text":
        talks = [_text_talks(rng, most, terse) for _ in range(layout.rows)]
        return Part(kind, writer(layout, [()] * layout.rows, talks), None)
    count = layout.rows * layout.pictures
    if released:
        file = rng.randrange(len(store.scenes))
        taken = [(file, store.sample_of(rng, file, kind)) for _ in range(count)]
    else:
        taken = [store.sample(rng, ease) for _ in range(count)]
        taken = [(f, n if fits(store.scenes[f][n], kind) else store.sample_of(rng, f, kind)) for f, n in taken]
    groups = [taken[n : n + layout.pictures] for n in range(0, count, layout.pictures)]
    scenes = [[store.scenes[f][n] for f, n in group] for group in groups]
    grids = [[store.grids[f] for f, _ in group] for group in groups]
    rows = writer(layout, grids, [_talks(rng, kind, of, ease, terse) for of in scenes])
    if released:
        numbers = [n for _, n in taken]
        pixels = pictures.load(store.drawn, file).pixels[numbers]
        shown = pictures.Drawings(pixels, [store.scenes[file][n] for n in numbers])
        return Part(kind, rows, None, pixels, targets_of(shown))
    seen = [in_slots(torch.from_numpy(np.array(store.features[f][n : n + 1]))) for f, n in taken]
    return Part(kind, rows, torch.cat(seen).unflatten(0, (layout.rows, layout.pictures)))


def _talks(rng: Random, kind: Kind, scenes: list[Scene | None], ease: float, terse: float) -> Callable[[], Branch]:
    if kind == "pictures":
        scene = scenes[0]

        def talk() -> Branch:
            if scene is not None and scene.things and rng.random() < terse:
                return terse_branch(rng, scene)
            return picture_branch(rng, scene, plain=rng.random() < ease)

        return talk
    if kind == "long":
        shown = scenes[0]
        assert shown is not None, "only things of scenes are located"
        return lambda: long_branch(rng, shown)
    first, second = scenes
    assert first is not None and second is not None, "only scenes are compared"
    return lambda: compare_branch(rng, first, second)


def _text_talks(rng: Random, most: int, terse: float) -> Callable[[], Branch]:
    """Return what draws talks about the same passages, or plans."""
    if rng.random() < 0.25:
        return lambda: plan_branches(rng, 1)[0]
    talks = iter(reading_branches(rng, most, 100, terse=terse / 2))
    return lambda: next(talks)


class Batches(IterableDataset[list[Part]]):
    """Batches from `start` to `stop`, made in a DataLoader's worker beside the training."""

    def __init__(
        self, drawn: Path, features: Path, files: int, tokenizer: "Qwen2Tokenizer", seed: int, start: int, stop: int,
        release_at: int, skipped: int = 0,
    ) -> None:  # fmt: skip
        self.drawn, self.features, self.files, self.tokenizer = drawn, features, files, tokenizer
        self.seed, self.start, self.stop, self.release_at = seed, start, stop, release_at
        self.skipped = skipped

    def __iter__(self) -> Iterator[list[Part]]:
        torch.set_num_threads(1)
        store, writer = Store(self.drawn, self.features, self.files), RowWriter(self.tokenizer)
        for number in range(self.start, self.stop):
            released = number >= self.release_at
            yield make_batch(store, writer, self.seed, self.skipped + number, released=released)

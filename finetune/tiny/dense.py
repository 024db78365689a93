"""Stage one: the vision tower learns densely, before any language, what each visual token shows.

A linear head on every visual token, and on those of the deepstack outputs, tells what the token shows: whether a
thing's middle lies in it, that thing's colour, shape, size, box and place in the order from left to right, and which
letters stand there. The weights of tower, merger and deepstack go on into stage two; the heads are thrown away, but
for the directions in which the embeddings of the words begin (`first_embeddings`).
Letters for shapes: N pictures, R rows and K columns of visual tokens, C channels of the tower's output.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from finetune.data.drawn.scenes import ALPHABET, COLORS, MAX_THINGS, SHAPES, Scene, outline
from finetune.tiny import pictures
from finetune.tiny.build import DEEPSTACK, HIDDEN_SIZE, IGNORE_INDEX, build_tower
from finetune.tiny.optimizers import build_optimizers, load_state, save_state, set_learning_rates
from finetune.tiny.patches import CELL, patches_of
from finetune.tiny.vision_batch import equal_sized_pictures

if TYPE_CHECKING:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

PICTURES = 48  # a step
DEEPSTACK_WEIGHT = 0.3
NO_LETTER_WEIGHT = 0.05  # against a letter's: thirty tokens show none for one that shows one
COVERED_SHARE = 0.12  # of a token's area under a thing's box, from which it is said to show the thing
CLASSES = {"color": len(COLORS), "shape": len(SHAPES), "size": 2, "rank": MAX_THINGS}
WEIGHTS = {
    "middle": 2.0, "covered": 1.0, "color": 1.0, "shape": 1.0, "size": 0.5, "rank": 0.5, "box": 3.0, "letter": 1.0,
    "letters": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Targets:
    """What each visual token shows; classes are `IGNORE_INDEX` where it shows no thing."""

    middle: torch.Tensor
    """Whether a thing's middle lies in it, (N, R, K)."""
    covered: torch.Tensor
    """Whether it shows a thing, (N, R, K)."""
    classes: dict[str, torch.Tensor]
    """By name in `CLASSES`, (N, R, K)."""
    box: torch.Tensor
    """The thing's box relative to the token's middle, in tokens, (N, R, K, 4)."""
    letter: torch.Tensor
    """The letter nearest to the token's middle, 0 for none, (N, R, K)."""
    letters: torch.Tensor
    """Which letters have their middle in it, (N, R, K, 26)."""


def targets_of(drawings: pictures.Drawings) -> Targets:
    """Return what each visual token of the pictures shows."""
    count, height, width, _ = drawings.pixels.shape
    rows, columns = height // CELL, width // CELL
    shape = (count, rows, columns)
    classes = {name: np.full(shape, IGNORE_INDEX) for name in CLASSES}
    middle, covered = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    box, letter, letters = (
        np.zeros((*shape, 4), np.float32),
        np.zeros(shape, np.int64),
        np.zeros((*shape, 26), np.float32),
    )
    for n, scene in enumerate(drawings.scenes):
        if scene is None:
            continue
        across, down = columns / scene.width, rows / scene.height
        tokens = _tokens_of_things(scene, rows, columns)
        for (row, column), (rank, bounds, is_middle) in tokens.items():
            thing = scene.things[rank]
            covered[n, row, column], middle[n, row, column] = 1, is_middle
            classes["color"][n, row, column] = list(COLORS).index(thing.color)
            classes["shape"][n, row, column] = SHAPES.index(thing.shape)
            classes["size"][n, row, column] = thing.size == "large"
            classes["rank"][n, row, column] = rank
            at = np.array((column, row, column, row)) + 0.5
            box[n, row, column] = np.array(bounds) - at
        if scene.word is not None and scene.lettering is not None:
            nearest: dict[tuple[int, int], float] = {}
            row = min(rows - 1, int(scene.lettering.y * down))
            for char, x in scene.lettering.letters(scene.word):
                column = min(columns - 1, max(0, int(x * across)))
                letters[n, row, column, ALPHABET.index(char)] = 1
                off = abs(x * across - column - 0.5)
                if off < nearest.get((row, column), 1.0):
                    nearest[row, column], letter[n, row, column] = off, ALPHABET.index(char) + 1
    by_class = {name: torch.from_numpy(wanted) for name, wanted in classes.items()}
    middle_, covered_, box_, letter_, letters_ = (torch.from_numpy(x) for x in (middle, covered, box, letter, letters))
    return Targets(middle_, covered_, by_class, box_, letter_, letters_)


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


class Head(nn.Module):
    """Tells from a visual token what it shows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widths = {"middle": 1, "covered": 1, **CLASSES, "box": 4, "letter": 27, "letters": 26}
        self.linear = nn.Linear(channels, sum(self.widths.values()))

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return, by target, what it says of each token (tokens, C)."""
        said = self.linear(tokens).split(list(self.widths.values()), dim=-1)
        return dict(zip(self.widths, said, strict=True))


def losses_of(said: dict[str, torch.Tensor], targets: Targets) -> dict[str, torch.Tensor]:
    """Return the loss of each target."""
    shown = targets.covered.flatten() > 0
    by_letter = torch.ones(1 + len(ALPHABET))
    by_letter[0] = NO_LETTER_WEIGHT
    losses = {
        "middle": binary_cross_entropy_with_logits(said["middle"].squeeze(-1), targets.middle.flatten()),
        "covered": binary_cross_entropy_with_logits(said["covered"].squeeze(-1), targets.covered.flatten()),
        "box": smooth_l1_loss(said["box"][shown], targets.box.flatten(0, 2)[shown], beta=0.1),
        "letter": cross_entropy(said["letter"], targets.letter.flatten(), by_letter),
        "letters": 10 * binary_cross_entropy_with_logits(said["letters"], targets.letters.flatten(0, 2)),
    }
    return losses | {name: cross_entropy(said[name], wanted.flatten()) for name, wanted in targets.classes.items()}


@torch.no_grad()
def right_of(said: dict[str, torch.Tensor], targets: Targets) -> dict[str, float]:
    """Return the share of right answers at the things' middles and at the letters."""
    middle, letter = targets.middle.flatten() > 0, targets.letter.flatten()
    right = {"middle": ((said["middle"].squeeze(-1) > 0) == middle).float().mean().item()}
    for name, wanted in targets.classes.items():
        right[name] = (said[name].argmax(-1) == wanted.flatten())[middle].float().mean().item()
    off = (said["box"] - targets.box.flatten(0, 2))[middle].abs().amax(-1) * CELL
    right["box within 4 px"] = (off < 4).float().mean().item()
    right["letter"] = (said["letter"].argmax(-1) == letter)[letter > 0].float().mean().item()
    return {name: round(value, 4) for name, value in right.items()}


class _Steps(IterableDataset[tuple[torch.Tensor, torch.Tensor, Targets]]):
    """Patches, grid and targets of each step from `start` to `stop`, made beside the training."""

    def __init__(self, folder: Path, files: int, start: int, stop: int) -> None:
        self.folder, self.files, self.start, self.stop = folder, files, start, stop

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, Targets]]:
        torch.set_num_threads(1)
        for number in range(self.start, self.stop):
            yield step_of(self.folder, self.files, number)


def step_of(folder: Path, files: int, number: int) -> tuple[torch.Tensor, torch.Tensor, Targets]:
    """Return what step `number` sees: a slice of one file; every file is seen once before any is seen again."""
    slices = pictures.PICTURES_A_FILE // PICTURES
    epoch, place = divmod(number, files * slices)
    order = list(range(files * slices))
    Random(epoch).shuffle(order)
    file, slot = divmod(order[place], slices)
    whole = pictures.load(folder, file)
    part = slice(slot * PICTURES, (slot + 1) * PICTURES)
    drawings = pictures.Drawings(whole.pixels[part], whole.scenes[part])
    return *patches_of(drawings.pixels), targets_of(drawings)


def tower_outputs(visual: "Qwen3VLVisionModel", pixel_values: torch.Tensor, grid: torch.Tensor) -> list[torch.Tensor]:
    """Return the merger's output and the deepstack outputs of equal-sized pictures, each (N * R * K, C)."""
    with equal_sized_pictures():
        out = visual(pixel_values, grid_thw=grid)
    return [out.pooler_output, *out.deepstack_features]


def train_tower(
    drawn: Path, files: int, steps: int, out: Path, *, seed: int, bf16: bool, save_every: int
) -> tuple["Qwen3VLVisionModel", Head]:
    """Train a tower densely, resuming from `out`/dense.pt, with a log in `out`/dense.jsonl; returns it and its head."""
    visual = build_tower(seed)
    heads = nn.ModuleList(Head(HIDDEN_SIZE) for _ in range(1 + len(DEEPSTACK)))
    learned = nn.ModuleDict({"visual": visual, "heads": heads})
    optimizers = build_optimizers(learned)
    state_file, log_file = out / "dense.pt", out / "dense.jsonl"
    step = load_state(state_file, learned, optimizers) if state_file.exists() else 0
    loader = DataLoader(_Steps(drawn, files, step, steps), batch_size=None, num_workers=1, prefetch_factor=4)
    began = time.process_time()
    with tqdm(total=steps, initial=step, desc="tower", unit="step") as bar:
        for pixel_values, grid, targets in loader:
            set_learning_rates(optimizers, step, steps)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                outputs = tower_outputs(visual, pixel_values, grid)
            loss, right = torch.zeros(()), dict[str, float]()
            for n, (head, tokens) in enumerate(zip(heads, outputs, strict=True)):
                said = head(tokens.float())
                part = sum(WEIGHTS[name] * value for name, value in losses_of(said, targets).items())
                loss = loss + (1.0 if n == 0 else DEEPSTACK_WEIGHT) * part
                right = right or right_of(said, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            bar.update()
            if step % 25 == 0:
                line = {"step": step, "loss": round(loss.item(), 4), "cpu_s": round(time.process_time() - began)}
                with log_file.open("a", encoding="utf-8") as log:
                    log.write(json.dumps({**line, **right}) + "\n")
            if step % save_every == 0 or step == steps:
                save_state(state_file, learned, optimizers, step)
    first = heads[0]
    assert isinstance(first, Head)
    return visual, first

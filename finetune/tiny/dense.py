"""Stage one: the vision tower learns densely, before any language, what each visual token shows.

A linear head on every visual token, and on those of the deepstack outputs, tells what the token shows: whether a
thing's middle lies in it, that thing's colour, shape, size, box, place in the picture and in the order from left to
right, and which letters stand there (`targets`). The weights of tower, merger and deepstack go on into stage two; the
heads give the directions in which the embeddings of the words begin (`first_embeddings`), go on telling while the
tower is trained along, and are thrown away at the end.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from finetune.data.drawn.scenes import ALPHABET
from finetune.tiny import pictures
from finetune.tiny.build import DEEPSTACK, HIDDEN_SIZE, IGNORE_INDEX
from finetune.tiny.optimizers import build_optimizers, load_state, save_state, set_learning_rates
from finetune.tiny.patches import CELL, patches_of
from finetune.tiny.targets import CLASSES, OF_LETTERS, Targets, targets_of
from finetune.tiny.vision_batch import equal_sized_pictures

if TYPE_CHECKING:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

PICTURES = 48  # a step
DEEPSTACK_WEIGHT = 0.3
NO_LETTER_WEIGHT = 0.05  # against a letter's: thirty tokens show none for one that shows one
WEIGHTS = {
    "middle": 2.0, "covered": 1.0, "color": 1.0, "shape": 1.0, "size": 0.5, "rank": 0.5, "box": 3.0, "place": 10.0,
    "left": 0.3, "top": 0.3, "right": 0.3, "bottom": 0.3, "letter": 1.0, "letters": 1.0, "order": 0.5, "first": 0.5,
    "last": 0.5,
}  # fmt: skip


class Head(nn.Module):
    """Tells from a visual token what it shows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widths = {"middle": 1, "covered": 1, **CLASSES, "box": 4, "place": 4, "letter": 27, "letters": 26}
        self.linear = nn.Linear(channels, sum(self.widths.values()))

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return, by target, what it says of each token (tokens, C)."""
        said = self.linear(tokens).split(list(self.widths.values()), dim=-1)
        return dict(zip(self.widths, said, strict=True))


def build_heads() -> nn.ModuleList:
    """Return a head for the merger's output and one for each deepstack output."""
    return nn.ModuleList(Head(HIDDEN_SIZE) for _ in range(1 + len(DEEPSTACK)))


def dense_loss(heads: nn.ModuleList, outputs: Sequence[torch.Tensor], targets: Targets) -> torch.Tensor:
    """Return the loss over all targets and outputs, each (N * R * K, C)."""
    loss = torch.zeros(())
    for n, (head, tokens) in enumerate(zip(heads, outputs, strict=True)):
        part = sum(WEIGHTS[name] * value for name, value in losses_of(head(tokens.float()), targets).items())
        loss = loss + (1.0 if n == 0 else DEEPSTACK_WEIGHT) * part
    return loss


def losses_of(said: dict[str, torch.Tensor], targets: Targets) -> dict[str, torch.Tensor]:
    """Return the loss of each target; 0 where no token has it."""
    shown = targets.covered.flatten() > 0
    things = max(1, int(shown.sum()))
    by_letter = torch.ones(1 + len(ALPHABET))
    by_letter[0] = NO_LETTER_WEIGHT
    box, place = targets.box.flatten(0, 2)[shown], targets.place.flatten(0, 2)[shown]
    losses = {
        "middle": binary_cross_entropy_with_logits(said["middle"].squeeze(-1), targets.middle.flatten()),
        "covered": binary_cross_entropy_with_logits(said["covered"].squeeze(-1), targets.covered.flatten()),
        "box": smooth_l1_loss(said["box"][shown], box, beta=0.1, reduction="sum") / (4 * things),
        "place": smooth_l1_loss(said["place"][shown], place, beta=0.02, reduction="sum") / (4 * things),
        "letter": cross_entropy(said["letter"], targets.letter.flatten(), by_letter),
        "letters": 10 * binary_cross_entropy_with_logits(said["letters"], targets.letters.flatten(0, 2)),
    }
    for name, classes in targets.classes.items():
        wanted = classes.flatten()
        some = max(1, int((wanted != IGNORE_INDEX).sum()))
        losses[name] = cross_entropy(said[name], wanted, ignore_index=IGNORE_INDEX, reduction="sum") / some
    return losses


@torch.no_grad()
def right_of(said: dict[str, torch.Tensor], targets: Targets) -> dict[str, float]:
    """Return the share of right answers at the things' middles and at the letters."""
    middle, letter = targets.middle.flatten() > 0, targets.letter.flatten()
    right = {"middle": ((said["middle"].squeeze(-1) > 0) == middle).float().mean().item()}
    for name, wanted in targets.classes.items():
        at = letter > 0 if name in OF_LETTERS else middle
        right[name] = (said[name].argmax(-1) == wanted.flatten())[at].float().mean().item()
    off = (said["box"] - targets.box.flatten(0, 2))[middle].abs().amax(-1) * CELL
    right["box within 4 px"] = (off < 4).float().mean().item()
    off = (said["place"] - targets.place.flatten(0, 2))[middle].abs().amax(-1)
    right["place within 2 %"] = (off < 0.02).float().mean().item()
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
    visual: "Qwen3VLVisionModel", drawn: Path, files: int, steps: int, out: Path, *,
    rate: float, bf16: bool, save_every: int, heads_alone: int = 0,
) -> nn.ModuleList:  # fmt: skip
    """Train a tower densely, resuming from `out`/dense.pt, logging to `out`/dense.jsonl; returns its heads.

    In the first `heads_alone` steps the tower stays as it is: the gradients of random heads would spoil a trained one.
    """
    heads = build_heads()
    learned = nn.ModuleDict({"visual": visual, "heads": heads})
    optimizers = build_optimizers(learned, rate)
    state_file, log_file = out / "dense.pt", out / "dense.jsonl"
    step = load_state(state_file, learned, optimizers) if state_file.exists() else 0
    loader = DataLoader(_Steps(drawn, files, step, steps), batch_size=None, num_workers=1, prefetch_factor=4)
    began = time.process_time()
    with tqdm(total=steps, initial=step, desc="tower", unit="step") as bar:
        for pixel_values, grid, targets in loader:
            visual.requires_grad_(step >= heads_alone)
            set_learning_rates(optimizers, step, steps)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                outputs = tower_outputs(visual, pixel_values, grid)
            loss = dense_loss(heads, outputs, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            bar.update()
            if step % 25 == 0:
                right = right_of(heads[0](outputs[0].float()), targets)
                line = {"step": step, "loss": round(loss.item(), 4), "cpu_s": round(time.process_time() - began)}
                with log_file.open("a", encoding="utf-8") as log:
                    log.write(json.dumps({**line, **right}) + "\n")
            if step % save_every == 0 or step == steps:
                save_state(state_file, learned, optimizers, step)
    visual.requires_grad_(True)
    return heads

"""What the trained tower says of every picture of a run, computed once: the language stage reads it at each step."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from common.atomic_files import whole_file
from finetune.tiny import pictures
from finetune.tiny.dense import tower_outputs
from finetune.tiny.patches import CELL, patches_of
from finetune.tiny.rows import SLOTS

if TYPE_CHECKING:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

PICTURES_AT_ONCE = 60


def features_of(visual: "Qwen3VLVisionModel", pixels: np.ndarray) -> torch.Tensor:
    """Return the outputs of merger and deepstack for equal-sized pictures, (N, visual tokens, 1 + deepstack, C)."""
    outputs = tower_outputs(visual, *patches_of(pixels))
    return torch.stack(outputs, dim=1).unflatten(0, (len(pixels), -1))


def in_slots(features: torch.Tensor) -> torch.Tensor:
    """Put the visual tokens of each picture (N, tokens, 1 + deepstack, C) into `SLOTS` slots, zero where none is."""
    return torch.nn.functional.pad(features, (0, 0, 0, 0, 0, SLOTS - features.shape[1]))


def feature_file(folder: Path, number: int) -> Path:
    """Return the path of the features of picture file `number`."""
    return folder / f"{number:05d}.npy"


@torch.no_grad()
def compute_all(visual: "Qwen3VLVisionModel", drawn: Path, folder: Path, files: int, *, bf16: bool) -> None:
    """Write the features of every picture file that has none yet, as fp16."""
    folder.mkdir(parents=True, exist_ok=True)
    visual.eval()
    for number in tqdm(range(files), desc="features", unit="file"):
        if feature_file(folder, number).exists():
            continue
        pixels = pictures.load(drawn, number).pixels
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            parts = [features_of(visual, part) for part in np.split(pixels, len(pixels) // PICTURES_AT_ONCE)]
        with whole_file(feature_file(folder, number), durable=False) as part, part.open("wb") as file:
            np.save(file, torch.cat(parts).to(torch.float16).numpy())


def grid_of(pixels_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns of visual tokens of pictures (N, H, W, 3)."""
    return pixels_shape[1] // CELL, pixels_shape[2] // CELL

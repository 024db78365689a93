"""Pictures cut into what the tower takes, as the processor cuts them. It resizes nothing."""

import numpy as np
import torch

from finetune.tiny.build import MERGE_SIZE, PATCH_SIZE

CELL = PATCH_SIZE * MERGE_SIZE
"""Side of a visual token, in pixels."""


def patches_of(pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut equal-sized pictures of bytes into the rows that Qwen2VLImageProcessor gives for them.

    Args:
        pixels: (N, H, W, 3), both sides multiples of `CELL`.

    Returns:
        pixel_values (N * H/16 * W/16, 1536) and image_grid_thw (N, 3).
    """
    count, height, width, _ = pixels.shape
    p, m = PATCH_SIZE, MERGE_SIZE
    x = torch.from_numpy(pixels).view(count, height // CELL, m, p, width // CELL, m, p, 3)
    x = x.permute(0, 1, 4, 2, 5, 7, 3, 6).to(torch.float32) / 127.5 - 1  # (N, gh, gw, m, m, 3, p, p)
    # A still picture fills both time steps of a patch.
    x = x.unsqueeze(6).expand(*x.shape[:6], 2, p, p).reshape(-1, 3 * 2 * p * p)
    return x, torch.tensor([[1, height // p, width // p]] * count)

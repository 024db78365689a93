"""Muon for the weight matrices and AdamW for the rest, their learning rates, and the state that a run resumes from.

Keller Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from common.atomic_files import whole_file

MUON_LR, ADAMW_LR = 0.02, 2e-3
GAINS_LR = 1e-2  # of the norms of queries and keys, which decide how sharp attention can be
WARM_UP_STEPS = 100
DECAY_SHARE = 0.4  # of the steps, at the end; before it the rate does not depend on how many steps there will be
FINAL_LR_SHARE = 0.01


def build_optimizers(module: torch.nn.Module, scale: float = 1.0) -> list[torch.optim.Optimizer]:
    """Return Muon over the weight matrices and AdamW over embeddings, positions, heads, norms and biases.

    Args:
        module: Whose parameters that need gradients are taken.
        scale: On both learning rates.
    """
    matrices, rest, gains = list[torch.nn.Parameter](), list[torch.nn.Parameter](), list[torch.nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            is_hidden = not any(part in name for part in ("embed_tokens", "pos_embed", "heads."))
            of_scores = "q_norm" in name or "k_norm" in name
            (gains if of_scores else matrices if parameter.ndim == 2 and is_hidden else rest).append(parameter)
    groups: list[dict[str, Any]] = (
        [{"params": rest}, {"params": gains, "lr": GAINS_LR}] if gains else [{"params": rest}]
    )
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(groups, lr=ADAMW_LR, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"] * scale
    return optimizers


def set_learning_rates(optimizers: Sequence[torch.optim.Optimizer], step: int, steps: int) -> None:
    """Give every group its share of its full rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * learning_rate_share(step, steps)


def learning_rate_share(step: int, steps: int) -> float:
    """Return the factor on the learning rates: linear up over the warm-up, then full, linear down at the end."""
    left = (1 - step / steps) / DECAY_SHARE
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(FINAL_LR_SHARE, min(1.0, left))


def load_state(file: Path, module: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Take up module and optimizers where the checkpoint left them; returns its step.

    Raises:
        SystemExit: Another version of the recipe wrote it, or one that was told to leave the dense stage out.
    """
    state = torch.load(file, weights_only=True)
    try:
        module.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    except (RuntimeError, ValueError) as error:
        message = f"{file} is of another version of the recipe or of other options; begin in a new folder"
        raise SystemExit(message) from error
    return int(state["step"])


def save_state(file: Path, module: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer], step: int) -> None:
    """Replace the checkpoint in one step, so that a kill leaves the old one or the new one."""
    state = {"model": module.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step}
    with whole_file(file, durable=False) as part:
        torch.save(state, part)

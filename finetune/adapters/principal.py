"""PiSSA: a LoRA that begins with the strongest directions of the weights, beside a base that stays as it is.

PEFT takes these directions, s * B0 A0, out of the base and trains them. A server then needs the changed base, or an
adapter that is converted. Here the base keeps them and the adapter takes them away itself: of its doubled rank one half
learns, B A, and the other one stands still at -B0 A0. Outputs and gradients are the same; the base is untouched, the
adapter is zero at the start, and whatever is saved is a plain LoRA.

Source: F. Meng et al., "PiSSA: principal singular values and singular vectors adaptation of large language models",
NeurIPS 2024, section 3; peft `tuners/lora/layer.py::LoraLayer.pissa_init`. Trains nothing.
"""

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from peft import PeftModel

HELD = "numbers_that_stand_still"
"""Attribute of a parameter: how many of its numbers are not trained although their neighbours are."""


class RankTooHigh(ValueError):
    """A layer that has fewer directions than the adapter is to begin with."""

    def __init__(self, name: str, rank: int, directions: int) -> None:
        super().__init__(f"{name} has {directions} directions and lora_rank is {rank}; lower lora_rank")


class NoDirections(ValueError):
    """A layer that is no plain matrix."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(f"{name} is a {kind}, and pissa_init begins with matrices alone; leave it out of lora_target")


def begin_with_principal_directions(model: "PeftModel", adapter: str, iterations: int) -> None:
    """Set a fresh LoRA of twice the rank to [A0; A0] and [B0, -B0], and hold the second halves still.

    Args:
        model: Has the adapter, a LoRA of an even rank; its weights may be on the meta device, and are left so.
        adapter: Its name.
        iterations: Of the randomized decomposition; -1 decomposes exactly.

    Raises:
        RankTooHigh, NoDirections: A layer.
    """
    from peft.tuners.lora import LoraLayer

    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLayer) or adapter not in layer.r:
            continue
        base = layer.get_base_layer()
        if not isinstance(base, torch.nn.Linear):
            raise NoDirections(name, type(base).__name__)
        rank = layer.r[adapter] // 2
        if rank > min(base.weight.shape):
            raise RankTooHigh(name, rank, min(base.weight.shape))
        down, up = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight  # (2r, in), (out, 2r)
        if not base.weight.is_meta:
            a, b = _halves(base.weight.data, rank, iterations, layer.scaling[adapter])
            down.data.copy_(torch.cat([a, a]))
            up.data.copy_(torch.cat([b, -b], dim=1))
        _hold_second_half(down, 0)
        _hold_second_half(up, 1)


def _halves(weight: torch.Tensor, rank: int, iterations: int, scaling: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A0 (r, in) and B0 (out, r) whose product, scaled, is the best approximation of that rank."""
    weight = weight.float()
    if iterations < 0:
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        left, values, right = left[:, :rank], values[:rank], right[:rank]
    else:
        left, values, turned = torch.svd_lowrank(weight, rank, niter=iterations)
        right = turned.T
    root = (values / scaling).sqrt()
    return root[:, None] * right, left * root


def _hold_second_half(parameter: torch.nn.Parameter, axis: int) -> None:
    half = parameter.shape[axis] // 2

    def halve(gradient: torch.Tensor) -> torch.Tensor:
        held = gradient.clone()
        held.narrow(axis, half, half).zero_()
        return held

    parameter.register_hook(halve)
    setattr(parameter, HELD, parameter.numel() // 2)


def held_still(model: Any) -> int:
    """Return how many numbers of trained parameters are not trained."""
    return sum(getattr(parameter, HELD, 0) for parameter in model.parameters() if parameter.requires_grad)

"""What training and evaluation read from the layers: the load-balancing loss, and how the experts are used."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from model.adapters.moe_lora.layer import AuxLossLost, MoeLoraLinear

if TYPE_CHECKING:
    from torch import nn

    from model.adapters.moe_lora.config import MoeLoraConfig


@dataclass(frozen=True)
class Usage:
    """How one layer used its experts."""

    shares: tuple[float, ...]
    """Of all choices, by expert; they sum up to 1."""
    mean_gates: tuple[float, ...]
    """Mean weight of each expert over all tokens."""
    entropy: float
    """Of the shares within each group of experts, 1 where all are used evenly and 0 where one does everything."""
    tokens: int


def has_moe_lora(model: "nn.Module") -> bool:
    """Return whether the model uses experts."""
    return any(True for _ in _layers(model))


def aux_loss(model: "nn.Module") -> torch.Tensor:
    """Return the load-balancing loss of the last forward pass in training, and forget it.

    Each layer adds its own, times `router_aux_loss_coef` (Fedus et al., 2021, section 2.2: "for each Switch layer, this
    auxiliary loss is added to the total model loss"). Padding does not count where the model is given an attention
    mask of shape (B, T); a prompt's tokens do, because they are routed as the answer's are. To be called between the
    forward and the backward pass.

    Returns:
        A scalar, zero where nothing is balanced.

    Raises:
        AuxLossLost: Checkpointing dropped its gradient.
    """
    total: torch.Tensor | None = None
    for _, layer in _layers(model):
        for name, aux in layer.aux.items():
            if name not in layer.active_adapters:
                continue
            if torch.is_grad_enabled() and layer.moelora_router[name].requires_grad and not aux.requires_grad:
                raise AuxLossLost
            weighted = layer.moelora_config[name].router_aux_loss_coef * aux
            total = weighted if total is None else total + weighted.to(total.device)
        layer.aux.clear()
    if total is not None:
        return total
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return torch.zeros((), device=device)


def expert_usage(model: "nn.Module", *, reset: bool = False) -> dict[str, Usage]:
    """Return the use of experts by layer since the last reset, for layers that were used since.

    Counted in training, and in evaluation within `counted`. A layer that several adapters work on at once appears
    once for each, its name followed by a colon and the adapter's.
    """
    found: dict[str, Usage] = {}
    for key, layer in _layers(model):
        for name, sums in layer.usage.items():
            several = len(layer.usage) > 1
            found[f"{key}:{name}" if several else key] = _usage(sums.tolist(), layer.moelora_config[name])
        if reset:
            layer.usage.clear()
    return found


def mean_entropy(model: "nn.Module") -> float:
    """Return the mean entropy of `expert_usage` over the layers; 1 where nothing was counted."""
    entropies = [usage.entropy for usage in expert_usage(model).values()]
    return sum(entropies) / len(entropies) if entropies else 1.0


@contextmanager
def counted(model: "nn.Module") -> Iterator[None]:
    """Count the use of experts in evaluation too, from zero."""
    layers = [layer for _, layer in _layers(model)]
    for layer in layers:
        layer.counting = True
        layer.usage.clear()
    try:
        yield
    finally:
        for layer in layers:
            layer.counting = False


def _layers(model: "nn.Module") -> Iterator[tuple[str, MoeLoraLinear]]:
    for module in model.modules():
        if isinstance(module, MoeLoraLinear):
            yield module.key, module


def _usage(sums: list[list[float]], config: "MoeLoraConfig") -> Usage:
    chosen, tokens = sums[0][:-1], sums[0][-1]
    choices = sum(chosen) or 1.0
    size = config.group_size
    groups = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    return Usage(
        shares=tuple(count / choices for count in chosen),
        mean_gates=tuple(gates / (tokens or 1.0) for gates in sums[1][:-1]),
        entropy=sum(sum(group) * _entropy(group) for group in groups) / choices,
        tokens=round(tokens),
    )


def _entropy(counts: list[float]) -> float:
    """Return Shannon's entropy of the counts as a share of its largest value (C. Shannon, 1948, section 6)."""
    total = sum(counts)
    if total == 0 or len(counts) == 1:
        return 1.0
    shares = [count / total for count in counts if count]
    return -sum(share * math.log(share) for share in shares) / math.log(len(counts))

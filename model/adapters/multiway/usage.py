"""What training reads of the modules: how their experts are used."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from model.adapters.multiway.layer import MultiwayLayer

if TYPE_CHECKING:
    from torch import nn


def has_multiway(model: "nn.Module") -> bool:
    """Return whether the model has a module in front of its decoder."""
    return multiway_layer(model) is not None


def multiway_layer(model: "nn.Module") -> MultiwayLayer | None:
    """Return the layer that has the modules; none where there is none."""
    return next(_layers(model), None)


def settle(model: "nn.Module") -> None:
    """Let the routers' balancing know of the last pass, so that what is saved holds all that was learnt."""
    for layer in _layers(model):
        working = layer.working()
        for experts in working[1].experts() if working else ():
            experts.balance()


def expert_shares(model: "nn.Module", *, reset: bool = False) -> dict[str, tuple[float, ...]]:
    """Return each routed expert's share of the choices in training since the last reset, by layer and modality."""
    found: dict[str, tuple[float, ...]] = {}
    for layer in _layers(model):
        working = layer.working()
        for number, experts in enumerate(working[1].experts() if working else ()):
            if experts.used is None:
                continue
            counts = experts.used.tolist()
            if total := sum(counts):
                found[f"{number // 2}.{('text', 'vision')[number % 2]}"] = tuple(count / total for count in counts)
            if reset:
                experts.used = None
    return found


def mean_entropy(shares: dict[str, tuple[float, ...]]) -> float:
    """Return the mean over layers of Shannon's entropy of the shares as a part of its largest value; 1 is even use."""
    entropies = [
        -sum(share * math.log(share) for share in each if share) / math.log(len(each))
        for each in shares.values()
        if len(each) > 1
    ]
    return sum(entropies) / len(entropies) if entropies else 1.0


def _layers(model: "nn.Module") -> Iterator[MultiwayLayer]:
    for module in model.modules():
        if isinstance(module, MultiwayLayer):
            yield module

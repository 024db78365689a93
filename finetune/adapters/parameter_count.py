"""How many numbers are trained, of how many, also without the weights."""

from dataclasses import dataclass
from typing import Any

from finetune.adapters.attach import make_trainable
from finetune.adapters.principal import held_still
from finetune.config.schema import FinetuneConfig


@dataclass(frozen=True)
class Parameters:
    """How many numbers are trained, of how many."""

    trainable: int
    all: int

    def __str__(self) -> str:
        return f"{self.trainable:,} of {self.all:,} parameters are trained ({self.trainable / self.all:.4%})"


def count_parameters(model: Any) -> Parameters:
    """Return how many numbers are trained, of how many; four-bit ones count as the numbers they stand for."""
    if not hasattr(model, "get_nb_trainable_parameters"):
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
        return Parameters(sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes))
    trainable, whole = model.get_nb_trainable_parameters()
    return Parameters(trainable - held_still(model), whole)


def count_on_meta(config: FinetuneConfig) -> Parameters:
    """Return the same without reading weights.

    Raises:
        ModelError: No such base.
        TargetsUnmatched, TargetFrozen: The configuration.
    """
    from transformers import AutoTokenizer, Qwen3VLConfig

    from model.hub import find_local
    from model.qwen3_vl.shapes import build_on_meta

    folder = find_local(config.model.model_name_or_path)
    base = build_on_meta(Qwen3VLConfig.from_pretrained(folder))
    base.requires_grad_(False)
    return count_parameters(make_trainable(base, config, AutoTokenizer.from_pretrained(folder)))

"""How many numbers are trained, of how many, also without the weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.adapters.attach import attach_trainable_adapter
from finetune.config.schema import FinetuneConfig

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class Parameters:
    """How many numbers are trained, of how many."""

    trainable: int
    all: int

    def __str__(self) -> str:
        return f"{self.trainable:,} of {self.all:,} parameters are trained ({self.trainable / self.all:.4%})"


def count_parameters(model: "PeftModel") -> Parameters:
    """Return how many numbers are trained, of how many; four-bit ones count as the numbers they stand for."""
    trainable, whole = model.get_nb_trainable_parameters()
    return Parameters(trainable, whole)


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
    return count_parameters(attach_trainable_adapter(base, config, AutoTokenizer.from_pretrained(folder)))

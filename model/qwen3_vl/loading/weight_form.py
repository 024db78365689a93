"""The form in which weights are wanted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from model.qwen3_vl.placement import Placement


@dataclass(frozen=True)
class Form:
    """How the weights are wanted."""

    dtype: "torch.dtype"
    """Of what is not quantised."""
    device: "torch.device"
    quantization: str
    """none, nf4 or int8."""
    attention: str
    """transformers' `attn_implementation`."""
    placement: "Placement"

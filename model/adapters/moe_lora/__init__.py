"""A mixture of LoRA experts, routed by token, as a tuner type of PEFT.

The parts bring torch and PEFT, so they are imported with their first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.adapters.moe_lora.config import MoeLoraConfig
    from model.adapters.moe_lora.layer import AuxLossLost, MergeRefused
    from model.adapters.moe_lora.model import MoeLoraModel
    from model.adapters.moe_lora.usage import Usage, aux_loss, counted, expert_usage, has_moe_lora, mean_entropy

_HOMES = {
    "MoeLoraConfig": "config",
    "AuxLossLost": "layer",
    "MergeRefused": "layer",
    "MoeLoraModel": "model",
    "Usage": "usage",
    "aux_loss": "usage",
    "counted": "usage",
    "expert_usage": "usage",
    "has_moe_lora": "usage",
    "mean_entropy": "usage",
}

__all__ = [
    "AuxLossLost",
    "MergeRefused",
    "MoeLoraConfig",
    "MoeLoraModel",
    "Usage",
    "aux_loss",
    "counted",
    "expert_usage",
    "has_moe_lora",
    "mean_entropy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    from model.adapters import register_tuners

    register_tuners()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Registers the tuner type with PEFT. The type itself is made in `peft_type`."""

from model.adapters.moe_lora.peft_type import NAME
from model.adapters.peft_type import register_tuner


def register() -> None:
    """Register the type with PEFT; safe to call again."""
    from model.adapters.moe_lora.config import MoeLoraConfig
    from model.adapters.moe_lora.model import MoeLoraModel

    register_tuner(NAME, MoeLoraConfig, MoeLoraModel)

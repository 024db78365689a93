"""Registers the tuner type with PEFT. The type itself is made in `peft_type`."""

from peft.utils import register_peft_method

from model.adapters.moe_lora.peft_type import NAME, peft_type


def register() -> None:
    """Register the type with PEFT; safe to call again."""
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    if peft_type() in PEFT_TYPE_TO_TUNER_MAPPING:
        return
    from model.adapters.moe_lora.config import MoeLoraConfig
    from model.adapters.moe_lora.model import MoeLoraModel

    register_peft_method(name=NAME, config_cls=MoeLoraConfig, model_cls=MoeLoraModel)

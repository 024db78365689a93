"""Makes PEFT know a tuner type from outside.

PEFT's list of types is a closed enumeration, which `register_peft_method` looks names up in; it has no public way to
add one. Knows nothing of what the type does.
"""

from typing import Any

from peft.utils import PeftType, register_peft_method

NAME = "moelora"


def peft_type() -> Any:
    """Return `PeftType.MOELORA`, added to the enumeration where it is missing."""
    label = NAME.upper()
    if label not in PeftType.__members__:
        # What EnumMeta does for a member of the class body; a later `PeftType("MOELORA")` finds it by value.
        member = str.__new__(PeftType, label)
        member._name_ = member._value_ = label
        member._sort_order_ = len(PeftType.__members__)
        member.__objclass__ = PeftType
        type.__setattr__(PeftType, label, member)
        PeftType._member_map_[label] = member
        PeftType._member_names_.append(label)
        PeftType._value2member_map_[label] = member
    return PeftType[label]


def register() -> None:
    """Register the type with PEFT; safe to call again."""
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    if peft_type() in PEFT_TYPE_TO_TUNER_MAPPING:
        return
    from model.adapters.moe_lora.config import MoeLoraConfig
    from model.adapters.moe_lora.model import MoeLoraModel

    register_peft_method(name=NAME, config_cls=MoeLoraConfig, model_cls=MoeLoraModel)

"""Makes PEFT know a tuner type from outside.

PEFT's list of types is a closed enumeration, which `register_peft_method` looks names up in; it has no public way to
add one. Knows nothing of what a type does.
"""

from typing import Any

from peft.utils import PeftType


def add_peft_type(name: str) -> Any:
    """Return the type of that name, such as `PeftType.MOELORA`, added to the enumeration where it is missing."""
    label = name.upper()
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


def register_tuner(name: str, config: Any, model: Any) -> None:
    """Register a tuner with PEFT; safe to call again."""
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
    from peft.utils import register_peft_method

    if add_peft_type(name) not in PEFT_TYPE_TO_TUNER_MAPPING:
        register_peft_method(name=name, config_cls=config, model_cls=model)

"""Makes PEFT know a tuner type from outside.

PEFT's list of types is a closed enumeration, which `register_peft_method` looks names up in; it has no public way to
add one. Knows nothing of what the type does.
"""

from typing import Any

from peft.utils import PeftType

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

"""The name of the type, and PEFT's member for it."""

from typing import Any

from model.adapters.peft_type import add_peft_type

NAME = "moelora"


def peft_type() -> Any:
    """Return `PeftType.MOELORA`, added to the enumeration where it is missing."""
    return add_peft_type(NAME)

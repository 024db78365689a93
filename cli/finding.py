"""One finding of a doctor: its state, what was found, what mends it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    mend: str = ""
    """What to do; empty where nothing is to be done."""

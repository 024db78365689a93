"""Registers the tuner type with PEFT."""

from model.adapters.multiway.config import NAME
from model.adapters.peft_type import register_tuner


def register() -> None:
    """Register the type with PEFT; safe to call again."""
    from model.adapters.multiway.config import MultiwayConfig
    from model.adapters.multiway.model import MultiwayModel

    register_tuner(NAME, MultiwayConfig, MultiwayModel)

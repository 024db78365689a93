"""Multiway: experts for text and for pictures between the embeddings and the decoder, as a tuner type of PEFT.

The parts bring torch and PEFT, so they are imported with their first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.adapters.multiway.config import MultiwayConfig
    from model.adapters.multiway.layer import MergeRefused
    from model.adapters.multiway.model import MultiwayModel
    from model.adapters.multiway.usage import expert_shares, has_multiway, mean_entropy, settle

_HOMES = {
    "MultiwayConfig": "config",
    "MergeRefused": "layer",
    "MultiwayModel": "model",
    "expert_shares": "usage",
    "has_multiway": "usage",
    "mean_entropy": "usage",
    "settle": "usage",
}

__all__ = ["MergeRefused", "MultiwayConfig", "MultiwayModel", "expert_shares", "has_multiway", "mean_entropy", "settle"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    from model.adapters import register_tuners

    register_tuners()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

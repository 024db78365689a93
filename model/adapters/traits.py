"""What is known of an adapter before it is attached: its digest, and what its configuration says of its kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peft import PeftConfig

ADDITIVE = {"LORA", "MOELORA", "MULTIWAY", "IA3"}
"""Types that leave the base's own weights alone, so that it is itself again without them."""
CHANGING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga", "mica")
"""Beginnings of init_lora_weights that move a part of the base's weights into the adapter."""


def traits(config: "PeftConfig", folder: Path, model: Any) -> dict[str, Any]:
    """Return what `Loaded` says of an adapter on a model, beside its folder."""
    family = fingerprint(folder)
    return {
        "family": family,
        "sight": family if works_in_tower(model) else None,
        "own_base": not changes_base(config),
        "mixes_tokens": bool(getattr(config, "token_mixing", 0)),
        "invocation": tuple(getattr(config, "alora_invocation_tokens", None) or ()),
    }


def changes_base(config: "PeftConfig") -> bool:
    """Return whether using it changes weights that taking it off does not bring back."""
    begins = getattr(config, "init_lora_weights", True)
    return (
        str(getattr(config.peft_type, "value", config.peft_type)) not in ADDITIVE
        or getattr(config, "bias", "none") != "none"
        or (isinstance(begins, str) and begins.lower().startswith(CHANGING_INITS))
    )


def works_in_tower(model: Any) -> bool:
    """Return whether an adapter works in the vision tower of the model or its mergers."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import AuxiliaryTrainingWrapper

    kinds = (BaseTunerLayer, AuxiliaryTrainingWrapper)
    return any(isinstance(module, kinds) and ".visual." in name for name, module in model.named_modules())


def fingerprint(folder: Path) -> str:
    """Return a digest of the adapter's files: a folder that was trained again is another adapter."""
    import hashlib

    from model.adapters.attach import CONFIG, WEIGHTS

    digest = hashlib.blake2b(digest_size=16)
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()

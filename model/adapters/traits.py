"""What is known of an adapter before it is attached: its digest, and what its configuration says of its kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peft import PeftConfig


def traits(config: "PeftConfig", folder: Path) -> dict[str, Any]:
    """Return what `Loaded` says of an adapter, beside its folder."""
    return {
        "family": fingerprint(folder),
        "mixes_tokens": bool(getattr(config, "token_mixing", 0)),
        "invocation": tuple(getattr(config, "alora_invocation_tokens", None) or ()),
    }


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

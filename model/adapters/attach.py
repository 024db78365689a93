"""Puts a PEFT adapter's folder on a model, and refuses one that does not fit in every part.

PEFT itself complains only when nothing at all fits: a misspelt target, a missing tensor or an adapter of a smaller
model would be used in silence. Trains and merges nothing.
"""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.adapters import register_tuners
from model.checkpoint import ModelCorrupt, ModelIncomplete, read_json, read_tensors
from model.errors import ModelError
from model.hub import TINY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peft import PeftConfig
    from torch import nn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class AdapterError(ModelError):
    """An adapter that cannot be used; `folder` and `reason` say which and why."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The adapter {str(folder)!r} {reason}; {fix}.")


class AdapterNotFound(AdapterError):
    """No such folder, or no adapter in it."""


class AdapterCorrupt(AdapterError):
    """Its files are cut off, missing, or not what they are called."""


class AdapterUnknown(AdapterError):
    """Of a kind that neither PEFT nor this package knows; `peft_type` is its name."""

    def __init__(self, folder: Path, peft_type: object) -> None:
        self.peft_type = peft_type
        super().__init__(
            folder, f"is of the unknown type {peft_type!r}", "update peft, or load it with the package that made it"
        )


class AdapterOverDisk(AdapterError):
    """The base lies on a disk in part, where PEFT cannot reach it."""

    def __init__(self, folder: Path) -> None:
        fix = "merge it into its base, or leave offload_folder out and use a smaller model or a quantization"
        super().__init__(folder, "cannot be used by a model that lies on a disk in part", fix)


class AdapterMismatch(AdapterError):
    """Made for another base; `base` is the one it names, `targets` what of it found no place."""

    def __init__(self, folder: Path, reason: str, base: str | None, targets: tuple[str, ...] = ()) -> None:
        self.base, self.targets = base, targets
        made_for = f"it was made for {base!r}" if base else "it does not say for which base it was made"
        fix = f"{made_for}, so load it with that model or train it again on this one"
        if base == TINY:
            fix += " (the bundled checkpoint has other weights since Lorgnette 0.2)"
        super().__init__(folder, reason, fix)


def attach_adapter(model: "nn.Module", folder: Path, name: str = "default") -> Any:
    """Return the model using the adapter, in evaluation mode; one that uses others gets this one beside them.

    Raises:
        AdapterNotFound, AdapterCorrupt, AdapterUnknown, AdapterMismatch: The model is then spoilt; drop it.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    config, saved = read_adapter(folder)
    base = config.base_model_name_or_path
    bare = model.get_base_model() if isinstance(model, PeftModel) else model
    unmatched = unmatched_targets(config, [name for name, _ in bare.named_modules()])
    if "disk" in getattr(bare, "hf_device_map", {}).values():
        raise AdapterOverDisk(folder)
    if unmatched:
        raise AdapterMismatch(folder, f"targets {_listed(unmatched)}, which this model does not have", base, unmatched)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they would say about missing keys is checked below, and refused
        try:
            if isinstance(model, PeftModel):
                model.load_adapter(str(folder), adapter_name=name, peft_config=config)
                peft_model = model
            else:
                peft_model = PeftModel.from_pretrained(model, str(folder), adapter_name=name, config=config)
        except (RuntimeError, ValueError, TypeError) as error:
            raise AdapterMismatch(folder, f"does not fit this model ({_first_mismatch(error)})", base) from error
    # save_embedding_layers: the default asks the hub, over the network, for the base's vocabulary
    state_dict = get_peft_model_state_dict(peft_model, adapter_name=name, save_embedding_layers=False)
    expected = set(state_dict)
    prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(config.peft_type, "")  # without it: a copy of the base's embeddings
    if homeless := sorted(name for name in saved - expected if prefix in name):
        raise AdapterMismatch(folder, f"has weights for {_listed(homeless)}, which this model does not have", base)
    if missing := sorted(expected - saved):
        raise AdapterCorrupt(folder, f"lacks {_listed(missing)}", "save or copy it again")
    if broken := sorted(name for name, tensor in state_dict.items() if not bool(tensor.isfinite().all())):
        raise AdapterCorrupt(
            folder, f"contains NaN or infinite values in {_listed(broken)}", "use an earlier checkpoint"
        )
    return peft_model.eval()


def read_adapter(folder: Path) -> tuple["PeftConfig", set[str]]:
    """Return the adapter's configuration and the names of its tensors, after checking both files."""
    if not (folder / CONFIG).is_file():
        reason = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
        beside = _adapters_beside(folder)
        fix = (
            f"there is {' and '.join(beside)}" if beside else "give the folder that `save_pretrained` or finetune wrote"
        )
        raise AdapterNotFound(folder, reason, fix)
    again = "save or copy it again"
    try:
        content = read_json(folder, CONFIG, again)
        tensors = read_tensors(folder, WEIGHTS, again)
    except (ModelIncomplete, ModelCorrupt) as error:
        raise AdapterCorrupt(folder, error.reason, again) from error
    register_tuners()
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    # The names of the enumeration, not `in PeftType`: types registered from outside are added to the mapping.
    known = {str(getattr(kind, "value", kind)): config for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    peft_type = content.get("peft_type")
    if peft_type not in known:
        raise AdapterUnknown(folder, peft_type)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config = known[str(peft_type)].from_pretrained(str(folder))
        except (TypeError, ValueError) as error:
            raise AdapterCorrupt(folder, f"has a {CONFIG} that PEFT refuses ({error})", again) from error
    config.inference_mode = True
    return config, set(tensors)


def unmatched_targets(config: "PeftConfig", modules: "Iterable[str]") -> tuple[str, ...]:
    """Return the requested targets that match none of the module names, by PEFT's own rules of matching.

    A string is a regular expression over the whole dotted name ("all-linear" fits every model), a listed name is
    the dotted name or its end.
    """
    names = list(modules)
    wanted: list[str] = []
    for field in ("target_modules", "feedforward_modules", "modules_to_save"):
        targets = getattr(config, field, None) or ()
        if isinstance(targets, str):
            if targets != "all-linear" and not any(re.fullmatch(targets, name) for name in names):
                wanted.append(targets)
        else:
            wanted += [target for target in targets if not any(n == target or n.endswith(f".{target}") for n in names)]
    return tuple(sorted(set(wanted)))


def _listed(names: "Iterable[str]", most: int = 3) -> str:
    listed = [repr(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _first_mismatch(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "size mismatch" in line), lines[0] if lines else type(error).__name__)


def _adapters_beside(folder: Path) -> list[str]:
    """Return up to three adapters in the folder's own folder, which may be what was meant: a run's checkpoints."""
    try:
        names = sorted(other.parent.name for other in folder.parent.glob("*/adapter_config.json"))
    except OSError:
        return []
    return [str(folder.parent / name) for name in names[:3]]

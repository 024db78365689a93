"""Changes the adapter of a model that is loaded, without reading the model's own weights again.

An adapter that does not fit leaves the model as it was. It must not run while the model answers: who calls it sees to
that.
"""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.adapters.attach import AdapterError, attach_adapter, read_adapter
from model.adapters.traits import changes_base, fingerprint, traits

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor, nn

    from model.qwen3_vl.load import Loaded

NAME = "default"


class RestartNeeded(AdapterError):
    """An adapter that changes the base model's own weights."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "changes the base model's own weights, so that it cannot be put on or off while the model runs",
            "name it in the setting adapter and start again",
        )


class NodesHaveAdapters(AdapterError):
    """The model runs with an adapter for single nodes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "cannot be used while node_adapters are",
            "leave node_adapters out of the settings and start again",
        )


class ChangedMeanwhile(AdapterError):
    """The adapter's files were written while they were read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "was written while it was read", "name it again when it is complete")


@dataclass(frozen=True)
class _Kept:
    """An adapter in memory, to be put on again where its successor does not fit."""

    kind: Any
    """PEFT's class of model, by the task."""
    config: "PeftConfig"
    tensors: "dict[str, Tensor]"


def swap_adapter(
    loaded: "Loaded", folder: Path | None
) -> "tuple[Loaded, AdapterError | RuntimeError | OSError | None]":
    """Return the model with this adapter in place of the one that it uses, or with none.

    `loaded` is of no use afterwards. Where the adapter does not fit, or not into memory, the model uses what it used
    before and the reason is returned with it.

    Raises:
        AdapterError: It cannot be, which is known before anything is changed; `loaded` is as it was.
    """
    if folder is not None:
        config, _ = read_adapter(folder)  # what is broken is found before anything is taken off
        known = fingerprint(folder)
        if loaded.node_adapters:
            raise NodesHaveAdapters(folder)
        if changes_base(config):
            raise RestartNeeded(folder)
    kept = _keep(loaded)
    base = take_off(loaded.model)
    if folder is None:
        bare = replace(
            loaded, model=base.eval(), adapter=None, family=None, mixes_tokens=False, sight=None, own_base=True,
            invocation=(),
        )  # fmt: skip
        return bare, None
    try:
        model = attach_adapter(base, folder, NAME)
        if fingerprint(folder) != known:
            raise ChangedMeanwhile(folder)  # whose weights it uses nobody knows, nor what was read under them
    except (AdapterError, RuntimeError, OSError) as error:  # torch's want of memory is a RuntimeError
        take_off(base)
        return replace(loaded, model=_put_back(base, kept)), error
    model.requires_grad_(False)
    return replace(loaded, model=model, adapter=str(folder), **traits(config, folder, model)), None


def take_off(model: Any) -> Any:
    """Return the base model, with its own layers where the adapter's were."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import AuxiliaryTrainingWrapper

    from model.adapters.moe_lora.tokens import language_model
    from model.adapters.multiway.passage import forget_passage
    from model.qwen3_vl.load import base_model

    base = base_model(model)
    found: list[tuple[str, nn.Module]] = []
    for name, module in base.named_modules():
        if isinstance(module, BaseTunerLayer):
            found.append((name, module.get_base_layer()))
        elif isinstance(module, AuxiliaryTrainingWrapper):
            found.append((name, module.original_module))
    for name, own in found:
        parent, _, child = name.rpartition(".")
        if not any(name.startswith(f"{other}.") for other, _ in found):
            setattr(base.get_submodule(parent), child, own)
    decoder = language_model(base)
    if decoder is not None and (notice := getattr(decoder[1], "_moelora_notice", None)) is not None:
        notice.remove()
    if decoder is not None:
        forget_passage(decoder[1])
    if hasattr(base, "peft_config"):
        del base.peft_config
    return base


def _keep(loaded: "Loaded") -> _Kept | None:
    from peft import PeftModel, get_peft_model_state_dict

    if not isinstance(loaded.model, PeftModel) or loaded.node_adapters:
        return None
    config = loaded.model.peft_config[NAME]
    if changes_base(config):
        raise RestartNeeded(Path(loaded.adapter or ""))
    tensors = get_peft_model_state_dict(loaded.model, adapter_name=NAME, save_embedding_layers=False)
    return _Kept(type(loaded.model), config, dict(tensors))


def _put_back(base: Any, kept: _Kept | None) -> Any:
    """Return the model with the adapter of before on it again."""
    from peft import set_peft_model_state_dict

    if kept is None:
        return base.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT uses a name that transformers has renamed
        again = kept.kind(base, kept.config, NAME)
        set_peft_model_state_dict(again, kept.tensors, adapter_name=NAME)
    return again.requires_grad_(False).eval()

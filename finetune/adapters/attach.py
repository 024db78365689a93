"""Puts what is to be trained on the base model: an adapter by the configuration, or one that was trained before.

Every target must have a place in a part of the model that is not frozen; PEFT itself complains only when none has.
Computes no loss and saves nothing.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.adapters.peft_config import AdapterRefused, build_peft_config
from finetune.adapters.principal import begin_with_principal_directions
from finetune.adapters.targets import TargetsUnmatched, check_targets, matched
from finetune.adapters.whole_model import free_weights
from finetune.adapters.workarounds import keep_gradients_exact
from finetune.config.schema import FinetuneConfig
from finetune.errors import FinetuneError
from model.adapters.attach import AdapterMismatch, attach_adapter, read_adapter
from model.hub import HUB_ID, TINY

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedTokenizerBase


ADAPTER = "default"


class PackingRefused(FinetuneError):
    """An activated LoRA begins at one place of a row, so that rows cannot stand behind one another."""

    def __init__(self) -> None:
        super().__init__("An activated LoRA (alora) cannot be trained with packing; write packing: false.")


class SharingRefused(FinetuneError):
    """An adapter that looks at places of a row, which in a row with branches are other ones."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter
        super().__init__(f"{adapter} cannot be trained with share_pictures; write share_pictures: false.")


def make_trainable(model: Any, config: FinetuneConfig, tokenizer: "PreTrainedTokenizerBase") -> Any:
    """Return the base with the adapter that is trained, or the base itself where weights of its own are.

    Raises:
        TargetsUnmatched, TargetFrozen, PackingRefused, SharingRefused, AdapterRefused, ValueRefused: The configuration.
        AdapterError: The adapter that is trained on.
    """
    if config.adapter.is_whole:
        return free_weights(model, config)
    return attach_trainable_adapter(model, config, tokenizer)


def attach_trainable_adapter(model: Any, config: FinetuneConfig, tokenizer: "PreTrainedTokenizerBase") -> "PeftModel":
    """Return the base model with the adapter that is trained; nothing else of it takes gradients.

    Raises:
        TargetsUnmatched, TargetFrozen, PackingRefused, SharingRefused, AdapterRefused: The configuration.
        AdapterError: The adapter that is trained on.
    """
    from peft import get_peft_model

    keep_gradients_exact(model)
    if config.model.adapter_name_or_path is not None:
        return _attach_trained_before(model, config)
    if config.adapter.finetuning_type == "alora" and config.data.packing:
        raise PackingRefused
    kind = config.adapter.finetuning_type
    try:
        peft_config = build_peft_config(config.adapter, config.model, tokenizer)
    except ValueError as error:
        raise AdapterRefused(kind, str(error)) from error
    _check_sharing(config, peft_config)
    names = [name for name, _ in model.named_modules()]
    if kind != "multiway":  # which stands in front of the language model, frozen or not
        check_targets(peft_config.target_modules, names, config.model)
    if missing := [name for name in config.adapter.additional_target if not any(n.endswith(name) for n in names)]:
        raise TargetsUnmatched(missing, [name for name, _ in model.named_children()], "additional_target")
    if kind == "alora" and (seeing := matched(peft_config.target_modules, [n for n in names if ".visual." in n])):
        raise AdapterRefused(
            kind, f"it works in the language model alone, from a word on, and {seeing[0]!r} sees no words"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        try:
            peft_model = get_peft_model(model, peft_config, adapter_name=ADAPTER)
        except ValueError as error:
            raise AdapterRefused(kind, str(error)) from error
    _hold_in_float32(peft_model)
    if config.adapter.pissa_init:
        try:
            begin_with_principal_directions(peft_model, ADAPTER, config.adapter.pissa_iter)
        except ValueError as error:
            raise AdapterRefused(kind, str(error)) from error
    # not the folder on this machine: whoever loads the adapter elsewhere has the base under its own name
    peft_model.peft_config[ADAPTER].base_model_name_or_path = config.model.model_name_or_path
    return peft_model


def _attach_trained_before(model: Any, config: FinetuneConfig) -> "PeftModel":
    folder, name = config.model.adapter_name_or_path, config.model.model_name_or_path
    assert folder is not None, "called for an adapter that is trained on"
    base = read_adapter(folder.expanduser())[0].base_model_name_or_path
    if base and base != name and _says_which(base) and _says_which(name):
        raise AdapterMismatch(folder, f"does not belong on {name!r}", base)
    peft_model = attach_adapter(model, folder.expanduser(), name=ADAPTER)
    if config.data.packing and getattr(peft_model.peft_config[ADAPTER], "alora_invocation_tokens", None):
        raise PackingRefused
    _check_sharing(config, peft_model.peft_config[ADAPTER])
    peft_model.set_adapter(ADAPTER)
    peft_model.peft_config[ADAPTER].inference_mode = False
    _hold_in_float32(peft_model)
    return peft_model


def _says_which(name: str) -> bool:
    """Return whether the name is one model's everywhere; a folder's is not."""
    return name == TINY or (HUB_ID.fullmatch(name) is not None and not Path(name).exists())


def _hold_in_float32(model: "PeftModel") -> None:
    """Hold all that is trained in float32: steps are lost in less, and loss scaling refuses gradients of less.

    PEFT does so with a new adapter, but neither with one that was saved nor with `modules_to_save`.
    """
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype.is_floating_point:
            parameter.data = parameter.data.float()


def _check_sharing(config: FinetuneConfig, peft_config: "PeftConfig") -> None:
    if not config.data.share_pictures:
        return
    if getattr(peft_config, "alora_invocation_tokens", None):
        raise SharingRefused("An activated LoRA (alora)")
    if getattr(peft_config, "token_mixing", 0):
        raise SharingRefused("A mixture with token_mixing")


def sees_pictures_itself(model: Any) -> bool:
    """Return whether anything in the vision tower or its mergers is trained, so that its features change."""
    return any(parameter.requires_grad for name, parameter in model.named_parameters() if ".visual." in name)

"""Weights of the model itself in place of an adapter: which are trained, and the folder that they are saved as.

`full` trains all that is not frozen, `freeze` some layers of the decoder, as LLaMA-Factory means them
(`src/llamafactory/model/adapter.py::_setup_freeze_tuning`). Trains nothing.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.atomic_files import usual_rights
from finetune.adapters.card import write_card
from finetune.adapters.targets import PARTS, TargetsUnmatched
from finetune.config.schema import FinetuneConfig, ValueRefused

LAYER = re.compile(r"\.language_model\.layers\.(\d+)\.(\w+)\.")
BASES_OWN = ("*.json", "*.jinja", "*.txt", "LICENSE*")
WRITTEN = ("config.json", "generation_config.json", "model.safetensors.index.json")
"""What `save_pretrained` writes itself, beside the weights."""


def free_weights(model: Any, config: FinetuneConfig) -> Any:
    """Let the weights learn that the configuration trains, held in float32, and no other; return the model.

    Raises:
        TargetsUnmatched: Modules that no layer has.
        ValueRefused: Nothing would be trained.
    """
    names = [name for name, _ in model.named_parameters()]
    learning = set(_of_layers(names, model, config) if config.adapter.finetuning_type == "freeze" else names)
    learning = {name for name in learning if not _is_frozen(name, config)}
    if not learning:
        raise ValueRefused(
            "finetuning_type", config.adapter.finetuning_type, "the freeze_ keys leave nothing that is trained"
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)
        if name in learning and parameter.dtype.is_floating_point:  # steps are lost in less
            parameter.data = parameter.data.float()
    return model


def _of_layers(names: Sequence[str], model: Any, config: FinetuneConfig) -> Iterator[str]:
    """Yield the weights of the last layers (the first where the number is negative), of the modules that are named."""
    wanted, modules = config.adapter.freeze_trainable_layers, config.adapter.freeze_trainable_modules
    layers: int = model.config.get_text_config().num_hidden_layers
    chosen = range(max(0, layers - wanted), layers) if wanted > 0 else range(min(-wanted, layers))
    found = {name: match for name in names if (match := LAYER.search(name))}
    known = dict.fromkeys(match[2] for match in found.values())
    if missing := [name for name in modules if name != "all" and name not in known]:
        raise TargetsUnmatched(missing, ["all", *known], "freeze_trainable_modules")
    outside = dict.fromkeys(name.split(".")[-2] for name in names if not re.search(r"\.\d+\.", name))
    if missing := [name for name in config.adapter.freeze_extra_modules if name not in outside]:
        raise TargetsUnmatched(missing, list(outside), "freeze_extra_modules")
    for extra in config.adapter.freeze_extra_modules:
        meant = [name for name in names if name.split(".")[-2] == extra]
        if all(_is_frozen(name, config) for name in meant):
            key = _key_of(meant[0])
            raise ValueRefused("freeze_extra_modules", extra, f"it is frozen; write {key}: false, or leave it out")
    for name in names:
        match = found.get(name)
        if match is not None:
            if int(match[1]) in chosen and ("all" in modules or match[2] in modules):
                yield name
        elif name.split(".")[-2] in config.adapter.freeze_extra_modules or _key_of(name) in (
            "freeze_multi_modal_projector", "freeze_vision_tower",
        ):  # fmt: skip
            yield name


def _key_of(name: str) -> str | None:
    """Return the key that freezes the part which a weight belongs to; the head goes with the words it is tied to."""
    if name.startswith("lm_head."):
        return "freeze_language_model"
    return next((key for prefix, key in PARTS if name.startswith(prefix)), None)


def _is_frozen(name: str, config: FinetuneConfig) -> bool:
    key = _key_of(name)
    return key is not None and bool(getattr(config.model, key))


def save_whole(model: Any, folder: Path, base: Path) -> None:
    """Write a model for `--model`: its weights as they are held, and tokenizer, processor and template of its base.

    Args:
        model: `Qwen3VLForConditionalGeneration`.
        folder: Is made.
        base: Folder of the base.
    """
    from transformers.utils import logging

    folder.mkdir(parents=True, exist_ok=True)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # the training has one
    try:
        model.save_pretrained(str(folder))
    finally:
        if shown:
            logging.enable_progress_bar()
    for pattern in BASES_OWN:
        for file in base.glob(pattern):
            if file.name not in WRITTEN:
                shutil.copyfile(file, folder / file.name)
    for file in folder.glob("*.safetensors"):
        usual_rights(file)


def hold_as_base(model: Any, dtype: Any) -> None:
    """Hold what was trained in float32 in the base's dtype again, in which the model is saved at the end and served."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype.is_floating_point:
            parameter.data = parameter.data.to(dtype)


def save_trained(model: Any, folder: Path, config: FinetuneConfig, state_dict: Any = None) -> None:
    """Write what a run has trained: an adapter as `--adapter` takes it, or the whole model."""
    from model.hub import find_local

    if config.adapter.is_whole:
        save_whole(model, folder, find_local(config.model.model_name_or_path))
        return
    folder.mkdir(parents=True, exist_ok=True)
    # the default would ask the hub, over the network, for the base's vocabulary
    # and DPO keeps a second adapter beside the trained one
    model.save_pretrained(
        str(folder), state_dict=state_dict, save_embedding_layers=False, selected_adapters=["default"]
    )
    write_card(folder, config)
    for file in folder.glob("*.safetensors"):
        usual_rights(file)

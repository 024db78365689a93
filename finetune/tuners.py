"""Puts what is to be trained on the base model: an adapter by the configuration, or one that was trained before.

Every target must have a place in a part of the model that is not frozen; PEFT itself complains only when none has.
Computes no loss and saves nothing.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.config import AdapterConfig, FinetuneConfig, ModelConfig
from finetune.errors import FinetuneError
from model.adapters import register_tuners
from model.adapters.attach import AdapterMismatch, attach_adapter, read_adapter
from model.hub import HUB_ID, TINY

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedTokenizerBase

    from finetune.rows import Row

ADAPTER = "default"
TEXT = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
TOWER = r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.linear_fc[12])"
PROJECTOR = r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]"
FEEDFORWARD = ("gate_proj", "up_proj", "down_proj", "linear_fc1", "linear_fc2")
# Which part of the model a module belongs to, and the key that freezes it; the first prefix that fits counts.
PARTS = (
    ("model.visual.merger", "freeze_multi_modal_projector"),
    ("model.visual.deepstack_merger_list", "freeze_multi_modal_projector"),
    ("model.visual", "freeze_vision_tower"),
    ("model.language_model", "freeze_language_model"),
)


class TargetsUnmatched(FinetuneError):
    """Targets that the model does not have; `targets` are those, `available` the names of its linear layers."""

    def __init__(self, targets: Sequence[str], available: Sequence[str], key: str = "lora_target") -> None:
        self.targets, self.available, self.key = tuple(targets), tuple(available), key
        whole = ", or write all" if key == "lora_target" else ""
        super().__init__(
            f"The model has no layer {' and no '.join(map(repr, targets))}, so nothing would be trained there; take it "
            f"out of {key}, or choose among {', '.join(available)}{whole}."
        )


class TargetFrozen(FinetuneError):
    """A target in a part of the model that the configuration freezes with `key`."""

    def __init__(self, target: str, module: str, key: str) -> None:
        self.target, self.module, self.key = target, module, key
        super().__init__(
            f"The target {target!r} is the layer {module!r}, which is frozen; take it out of lora_target, or write "
            f"{key}: false."
        )


class AdapterRefused(FinetuneError):
    """A combination of the adapter's keys that its tuner cannot be made with."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"The adapter ({kind}) cannot be made: {reason.rstrip('.')}; correct its keys.")


class NeverInvoked(FinetuneError):
    """An activated LoRA whose invocation stands in no row, so that it would not work in any."""

    def __init__(self, tokens: Sequence[int], text: str) -> None:
        self.tokens, self.text = tuple(tokens), text
        super().__init__(
            f"No row holds {text!r}, from which the activated LoRA works, so nothing would be learned; write as "
            "alora_invocation what stands in front of the answers (in YAML in double quotes, where \\n is a new line)."
        )


class PackingRefused(FinetuneError):
    """An activated LoRA begins at one place of a row, so that rows cannot stand behind one another."""

    def __init__(self) -> None:
        super().__init__("An activated LoRA (alora) cannot be trained with packing; write packing: false.")


class SharingRefused(FinetuneError):
    """An adapter that looks at places of a row, which in a row with branches are other ones."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter
        super().__init__(f"{adapter} cannot be trained with share_pictures; write share_pictures: false.")


@dataclass(frozen=True)
class Parameters:
    """How many numbers are trained, of how many."""

    trainable: int
    all: int

    def __str__(self) -> str:
        return f"{self.trainable:,} of {self.all:,} parameters are trained ({self.trainable / self.all:.4%})"


def build_peft_config(
    adapter: AdapterConfig, model: ModelConfig, tokenizer: "PreTrainedTokenizerBase | None" = None
) -> "PeftConfig":
    """Return PEFT's configuration of a new adapter.

    Raises:
        ValueError: An activated LoRA without a tokenizer.
    """
    from peft import IA3Config, LoraConfig

    register_tuners()
    targets = find_targets(adapter.lora_target, model)
    saved = list(adapter.additional_target) or None
    if adapter.finetuning_type == "ia3":
        if isinstance(targets, str):
            feedforward: str | list[str] = rf".*\.({'|'.join(FEEDFORWARD)})"
        else:
            feedforward = [name for name in targets if name in FEEDFORWARD]
        return IA3Config(
            target_modules=targets, feedforward_modules=feedforward, modules_to_save=saved, task_type="CAUSAL_LM"
        )
    alpha = 2 * adapter.lora_rank if adapter.lora_alpha is None else adapter.lora_alpha
    common: dict[str, Any] = {
        "r": adapter.lora_rank, "lora_alpha": alpha, "lora_dropout": adapter.lora_dropout,
        "target_modules": targets, "modules_to_save": saved, "task_type": "CAUSAL_LM",
    }  # fmt: skip
    if adapter.finetuning_type == "moe_lora":
        from model.adapters.moe_lora import MoeLoraConfig

        return MoeLoraConfig(
            **common, num_experts=adapter.num_experts, top_k=adapter.top_k, router=adapter.router,
            router_aux_loss_coef=adapter.router_aux_loss_coef, router_dropout=adapter.router_dropout,
            token_mixing=adapter.token_mixing,
        )  # fmt: skip
    if adapter.finetuning_type == "alora":
        if tokenizer is None:
            raise ValueError("an activated LoRA needs the tokenizer for its invocation tokens")
        tokens = tokenizer(adapter.alora_invocation, add_special_tokens=False)["input_ids"]
        return LoraConfig(**common, use_rslora=adapter.use_rslora, alora_invocation_tokens=tokens)
    return LoraConfig(**common, use_rslora=adapter.use_rslora, use_dora=adapter.use_dora)


def find_targets(wanted: Sequence[str], model: ModelConfig) -> str | list[str]:
    """Return PEFT's target_modules: a regular expression for `all`, one as it is given, or names."""
    if tuple(wanted) == ("all",):
        parts = [
            pattern
            for pattern, frozen in (
                (TEXT, model.freeze_language_model),
                (TOWER, model.freeze_vision_tower),
                (PROJECTOR, model.freeze_multi_modal_projector),
            )
            if not frozen
        ]
        return parts[0] if len(parts) == 1 else "|".join(f"({part})" for part in parts)
    if len(wanted) == 1 and set(wanted[0]) & set("\\()[]{}*|"):
        return wanted[0]
    return list(wanted)


def check_targets(targets: str | Iterable[str], names: Sequence[str], model: ModelConfig) -> None:
    """Refuse targets that match no module, or one of a frozen part.

    Args:
        targets: PEFT's target_modules.
        names: The dotted names of the model's modules.
        model: Says what is frozen.

    Raises:
        TargetsUnmatched, TargetFrozen: With all that are wrong, or the first frozen one.
    """
    unmatched: list[str] = []
    for target in [targets] if isinstance(targets, str) else sorted(targets):
        found = matched(target if isinstance(targets, str) else [target], names)
        if not found:
            unmatched.append(target)
        for name in found:
            key = next((key for prefix, key in PARTS if name.startswith(prefix)), None)
            if key is not None and getattr(model, key):
                raise TargetFrozen(target, name, key)
    if unmatched:
        ends = ("_proj", ".qkv", ".proj", "linear_fc1", "linear_fc2")
        available = dict.fromkeys(name.rpartition(".")[2] for name in names if name.endswith(ends))
        raise TargetsUnmatched(unmatched, list(available))


def matched(targets: str | Iterable[str], names: Sequence[str]) -> list[str]:
    """Return the names that PEFT takes for the targets: a whole regular expression, or ends of dotted names."""
    if isinstance(targets, str):
        return [name for name in names if re.fullmatch(targets, name)]
    ends = tuple(f".{target}" for target in targets)
    return [name for name in names if f".{name}".endswith(ends)]


def wear(model: Any, config: FinetuneConfig, tokenizer: "PreTrainedTokenizerBase") -> "PeftModel":
    """Return the base model with the adapter that is trained; nothing else of it takes gradients.

    Raises:
        TargetsUnmatched, TargetFrozen, PackingRefused, SharingRefused, AdapterRefused: The configuration.
        AdapterError: The adapter that is trained on.
    """
    from peft import get_peft_model

    keep_gradients_exact(model)
    if config.model.adapter_name_or_path is not None:
        return _wear_old(model, config)
    if config.adapter.finetuning_type == "alora" and config.data.packing:
        raise PackingRefused
    kind = config.adapter.finetuning_type
    try:
        peft_config = config.adapter.peft_config(config.model, tokenizer)
    except ValueError as error:
        raise AdapterRefused(kind, str(error)) from error
    _check_sharing(config, peft_config)
    names = [name for name, _ in model.named_modules()]
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
            wearing = get_peft_model(model, peft_config, adapter_name=ADAPTER)
        except ValueError as error:
            raise AdapterRefused(kind, str(error)) from error
    _hold_in_float32(wearing)
    # not the folder on this machine: whoever loads the adapter elsewhere has the base under its own name
    wearing.peft_config[ADAPTER].base_model_name_or_path = config.model.model_name_or_path
    return wearing


def _wear_old(model: Any, config: FinetuneConfig) -> "PeftModel":
    folder, name = config.model.adapter_name_or_path, config.model.model_name_or_path
    assert folder is not None, "called for an adapter that is trained on"
    base = read_adapter(folder.expanduser())[0].base_model_name_or_path
    if base and base != name and _says_which(base) and _says_which(name):
        raise AdapterMismatch(folder, f"does not belong on {name!r}", base)
    wearing = attach_adapter(model, folder.expanduser(), name=ADAPTER)
    if config.data.packing and getattr(wearing.peft_config[ADAPTER], "alora_invocation_tokens", None):
        raise PackingRefused
    _check_sharing(config, wearing.peft_config[ADAPTER])
    wearing.set_adapter(ADAPTER)
    wearing.peft_config[ADAPTER].inference_mode = False
    _hold_in_float32(wearing)
    return wearing


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


def check_invoked(model: "PeftModel", rows: Sequence["Row"], tokenizer: "PreTrainedTokenizerBase") -> int:
    """Return how many rows an activated LoRA does not work in; they teach it nothing. Zero for other adapters.

    Raises:
        NeverInvoked: All of them.
    """
    tokens = list(getattr(model.peft_config[ADAPTER], "alora_invocation_tokens", None) or ())
    if not tokens:
        return 0
    size = len(tokens)
    without = sum(
        all(
            row.input_ids[start : start + size].tolist() != tokens
            for start in np.flatnonzero(row.input_ids == tokens[0])
        )
        for row in rows
    )
    if rows and without == len(rows):
        raise NeverInvoked(tokens, str(tokenizer.decode(tokens)))
    return without


def drop_stale_hooks(model: Any) -> None:
    """Take off what PEFT hangs on checkpointed layers for an activated LoRA, after a pass that did not go back.

    PEFT 0.21 takes it off on the way back alone, which neither an evaluation has nor a layer of the frozen tower, and
    refuses the next pass where it finds it.
    """
    for module in model.modules():
        handles = getattr(module, "_peft_gradient_checkpointing_forward_hooks", None)
        while handles:
            handles.pop().remove()


def keep_gradients_exact(model: Any) -> None:
    """Keep 4-bit layers on a CPU from repacking themselves at the first evaluation.

    bitsandbytes' packed form has no gradient of its own: training on behind an evaluation gave gradients that were
    up to half too small, without a word.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def uncast(model: Any) -> Iterator[None]:
    """Keep LoRA and its mixtures from copying what goes into them to float32, for use under autocast alone.

    Autocast would turn every copy back to what it was: the same bits, for less time and memory. DoRA computes with the
    dtype of its input and keeps its copies.
    """
    from peft.tuners.lora import LoraLayer

    from model.adapters.moe_lora.layer import MoeLoraLayer

    layers = [
        module
        for module in model.modules()
        if isinstance(module, MoeLoraLayer)
        or (isinstance(module, LoraLayer) and not any(getattr(module, "use_dora", {}).values()))
    ]
    for layer in layers:
        layer.cast_input_dtype_enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.cast_input_dtype_enabled = True


def count_parameters(model: "PeftModel") -> Parameters:
    """Return how many numbers are trained, of how many; four-bit ones count as the numbers they stand for."""
    trainable, whole = model.get_nb_trainable_parameters()
    return Parameters(trainable, whole)


def count_on_meta(config: FinetuneConfig) -> Parameters:
    """Return the same without reading weights.

    Raises:
        ModelError: No such base.
        TargetsUnmatched, TargetFrozen: The configuration.
    """
    from transformers import AutoTokenizer, Qwen3VLConfig

    from model.hub import find_local
    from model.qwen3_vl.shapes import build_on_meta

    folder = find_local(config.model.model_name_or_path)
    base = build_on_meta(Qwen3VLConfig.from_pretrained(folder))
    base.requires_grad_(False)
    return count_parameters(wear(base, config, AutoTokenizer.from_pretrained(folder)))


def sees_pictures_itself(model: "PeftModel") -> bool:
    """Return whether anything in the vision tower or its mergers is trained, so that its features change."""
    return any(parameter.requires_grad for name, parameter in model.named_parameters() if ".visual." in name)

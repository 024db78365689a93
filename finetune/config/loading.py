"""Reads the configuration: finds the key that each name means, checks its value, and what goes together.

Where names come from is `source`'s, and what they mean in other programs `translations`'.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from finetune.config.schema import SECTIONS, AdapterConfig, FinetuneConfig, ValueRefused
from finetune.config.source import parse_overrides, read_pairs
from finetune.config.translations import FOREIGN_SECTIONS, NICKNAMES, Refused, translate
from finetune.config.values import Deciding
from finetune.errors import FinetuneError

MIXTURE = ("moe_lora",)
MULTIWAY = ("multiway",)
OWN_OF_MULTIWAY = (
    "num_multiway_layers", "num_fusion_layers", "num_shared_experts", "expert_size", "shared_expert_size",
    "fusion_size",
    "attention_heads", "attention_head_dim", "attention_rope_dim", "q_rank", "kv_rank", "balance_rate",
)  # fmt: skip
READ_BY = {
    **dict.fromkeys(("use_dora", "pissa_init", "pissa_iter"), ("lora",)),
    "use_rslora": ("lora", "alora"),
    "alora_invocation": ("alora",),
    **dict.fromkeys(("lora_rank", "lora_alpha"), ("lora", "moe_lora", "alora")),
    "lora_dropout": ("lora", "moe_lora", "alora", "multiway"),
    "lora_target": ("lora", "moe_lora", "alora", "ia3"),
    **dict.fromkeys(("num_experts", "top_k"), MIXTURE + MULTIWAY),
    **dict.fromkeys(("router", "router_aux_loss_coef", "router_dropout", "token_mixing"), MIXTURE),
    **dict.fromkeys(OWN_OF_MULTIWAY, MULTIWAY),
    **dict.fromkeys(("freeze_trainable_layers", "freeze_trainable_modules", "freeze_extra_modules"), ("freeze",)),
    "additional_target": ("lora", "moe_lora", "alora", "ia3", "multiway"),
}
"""Which adapters read a key, for those that not all do."""
ITS_PIXELS = {"image_max_pixels": 768 * 768, "video_max_pixels": 256 * 256, "video_min_pixels": 16 * 16}
"""LLaMA-Factory's defaults of what here is the checkpoint's own."""
ONLY_FOR = {"denoising_steps": ("multiway",), "loraplus_lr_ratio": ("lora", "alora")}
"""Which adapters a key of the training is for."""

MEASURES: tuple[str, ...] = get_args(get_args(Deciding)[0])
"""What may decide which weights are the best."""


class UnknownKey(FinetuneError):
    """A key that nothing reads; `suggestions` are the nearest ones that exist."""

    def __init__(self, key: str, suggestions: Sequence[str]) -> None:
        self.key, self.suggestions = key, tuple(suggestions)
        nearest = " or ".join(repr(name) for name in suggestions)
        advice = f"did you mean {nearest}?" if nearest else "remove it; docs/finetuning.md lists all keys."
        super().__init__(f"There is no key {key!r}; {advice}")


class KeyRefused(FinetuneError):
    """A key of another program that has no meaning here; `instead` says what to write."""

    def __init__(self, key: str, instead: str) -> None:
        self.key, self.instead = key, instead
        super().__init__(f"The key {key!r} is not taken: {instead}.")


class KeyTwice(FinetuneError):
    """Two spellings of one key with different values."""

    def __init__(self, key: str, first: str, second: str) -> None:
        self.key, self.first, self.second = key, first, second
        super().__init__(f"{first!r} and {second!r} both set {key!r}, to different values; keep one of them.")


def load_config(path: Path | None, overrides: Sequence[str] = (), *, leave_out: Collection[str] = ()) -> FinetuneConfig:
    """Read a YAML file, flat or in sections, and lay the command line over it.

    Args:
        path: The file; None for the defaults.
        overrides: `--section.key=value`, `--key=value`, `--key value`, or `--key` for true.
        leave_out: Names that somebody else reads.

    Raises:
        ConfigUnreadable, NoFlag, UnknownKey, KeyRefused, KeyTwice, ValueRefused: In words for the user.
    """
    notes: list[str] = []
    sections = {*SECTIONS, *FOREIGN_SECTIONS}
    pairs = list(read_pairs(path, sections)) if path is not None else []
    values = _resolve([pair for pair in pairs if pair[0] not in leave_out], notes)
    values |= _resolve([pair for pair in parse_overrides(overrides) if pair[0] not in leave_out], notes)
    if any(name == "template" for name, _ in pairs):  # which LLaMA-Factory's files have, and ours never
        for key, usual in ITS_PIXELS.items():
            if key not in values:
                values[key] = usual
                notes.append(f"{key}: {usual}, as in LLaMA-Factory where a file does not say")
    return _build(values, tuple(dict.fromkeys(notes)))


def _resolve(pairs: Sequence[tuple[str, Any]], notes: list[str]) -> dict[str, Any]:
    """Return value by own key; what others call differently is translated, and told in `notes`."""
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    given = dict(pairs)
    for name, value in pairs:
        if (own := _own(name)) is not None:
            found = {own: value}
        else:
            try:
                translated = translate(name, value, given)
            except Refused as refused:
                raise KeyRefused(name, str(refused)) from None
            if translated is None:
                raise UnknownKey(name, _nearest(name))
            found = translated.values
            if translated.note:
                notes.append(f"{name}: {translated.note}")
        for key, new in found.items():
            if key in values and values[key] != new and source[key] != name:  # the same flag again wins
                raise KeyTwice(key, source[key], name)
            values[key], source[key] = new, name
    return values


@cache
def _homes() -> dict[str, str]:
    """Return the section of every key."""
    return {f.name: section for section, cls in SECTIONS.items() for f in fields(cls)}


def _own(name: str) -> str | None:
    """Return the key that `name` means as it is: bare, or in its own section."""
    section, dot, key = name.rpartition(".")
    home = _homes().get(key)
    return key if home is not None and (not dot or section == home) else None


def _nearest(name: str) -> list[str]:
    key = name.rpartition(".")[2]
    homes = _homes()
    if key in homes:  # the right key in a wrong section
        return [f"{homes[key]}.{key}"]
    if key in NICKNAMES:
        return [NICKNAMES[key]]
    near = difflib.get_close_matches(key, homes, n=2, cutoff=0.6)
    return near or [home for home in homes if key in home.split("_")][:2]


@cache
def _hints() -> dict[str, Any]:
    """Return the type of every key."""
    found: dict[str, Any] = {}
    for cls in SECTIONS.values():
        hints = get_type_hints(cls, include_extras=True)
        found |= {f.name: hints[f.name] for f in fields(cls)}
    return found


@cache
def _adapter(key: str) -> "TypeAdapter[Any]":
    return TypeAdapter(_hints()[key])


def _kinds(hint: Any) -> set[Any]:
    """Return the plain types that a hint is made of."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kinds(args[0])
    if origin is Literal:
        return {type(value) for value in args}
    return set().union(*map(_kinds, args)) if origin in (Union, UnionType) else {hint}


def _check(key: str, value: Any) -> Any:
    """Return the value as its key holds it.

    Raises:
        ValueRefused: It cannot.
    """
    kinds = _kinds(_hints()[key])
    if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
        raise ValueRefused(key, value, "it is a number")  # to pydantic true is 1, and --lora_rank alone is true
    if isinstance(value, str) and value.strip().lower() in ("", "none", "null") and NoneType in kinds:
        value = None
    if isinstance(value, int | float | date) and not isinstance(value, bool) and kinds <= {str, Path, NoneType}:
        value = str(value)
    try:
        return _adapter(key).validate_python(value)
    except ValidationError as error:
        told = [e["msg"].removeprefix("Value error, ") for e in error.errors()]
        reasons = dict.fromkeys(reason[0].lower() + reason[1:] for reason in told)
        raise ValueRefused(key, value, " or ".join(reasons)) from None


def _build(values: Mapping[str, Any], notes: tuple[str, ...]) -> FinetuneConfig:
    checked: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, value in values.items():
        checked[_homes()[key]][key] = _check(key, value)
    sections = {section: cls(**checked[section]) for section, cls in SECTIONS.items()}
    config = FinetuneConfig(**sections)
    _check_together(config)
    return replace(config, notes=(*notes, *_unread(config, values)))


def _unread(config: FinetuneConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be said of keys that this adapter has no use for, where they say something else than nothing."""
    kind, old = config.adapter.finetuning_type, config.model.adapter_name_or_path
    for key in ("pref_beta", "pref_loss"):
        if key in given and config.training.stage == "sft":
            yield f"{key}: not read where stage is sft"
    evaluation = config.evaluation
    if not (evaluation.load_best_model_at_end or evaluation.early_stopping_steps) and not evaluation.decided_by_loss:
        yield "metric_for_best_model: not read without load_best_model_at_end or early_stopping_steps"
    for key in given:
        if _homes()[key] != "adapter" or getattr(config.adapter, key) == getattr(AdapterConfig(), key):
            continue
        if old is not None:
            yield f"{key}: not read, the adapter {str(old)!r} is trained on as it is"
        elif kind not in READ_BY.get(key, (kind,)):
            yield f"{key}: not read where finetuning_type is {kind}"


def _check_together(config: FinetuneConfig) -> None:
    model, adapter = config.model, config.adapter
    if model.bf16 and model.fp16:
        raise ValueRefused("fp16", True, "bf16 is set, too, and only one of them can be")
    if model.freeze_language_model and model.freeze_vision_tower and model.freeze_multi_modal_projector:
        raise ValueRefused("freeze_language_model", True, "tower and projector are frozen, too, and nothing is left")
    if model.adapter_name_or_path is None:
        _check_experts(adapter)
    _check_whole(config)
    _check_preferences(config)
    _check_only_for(config)
    for key in ("use_dora", "use_rslora", "pissa_init"):
        if getattr(adapter, key) and adapter.finetuning_type not in READ_BY[key]:
            only = " and ".join(READ_BY[key])
            raise ValueRefused(
                key, True, f"finetuning_type is {adapter.finetuning_type!r}, and only {only} can have it"
            )
    _check_frames(config)
    _check_principal(config)
    _check_best(config)
    if config.training.max_steps == 0:
        raise ValueRefused("max_steps", 0, "it is the number of steps, or -1 for as many as num_train_epochs makes")
    if config.evaluation.eval_dataset and config.evaluation.val_size:
        raise ValueRefused("val_size", config.evaluation.val_size, "eval_dataset is what is held back; write one")


def _check_experts(adapter: AdapterConfig) -> None:
    if adapter.finetuning_type == "moe_lora":
        _check_mixture(adapter)
    elif adapter.finetuning_type == "multiway":
        _check_multiway(adapter)


def _check_whole(config: FinetuneConfig) -> None:
    """Refuse what has no place beside weights of the model itself."""
    model, adapter = config.model, config.adapter
    if not adapter.is_whole:
        return
    kind = adapter.finetuning_type
    if model.quantization_bit is not None:
        reason = f"finetuning_type is {kind!r}, and weights of {model.quantization_bit} bits cannot be trained"
        raise ValueRefused("quantization_bit", model.quantization_bit, f"{reason}; leave it out or write lora")
    if model.adapter_name_or_path is not None:
        reason = f"finetuning_type is {kind!r}; merge it with `lorgnette finetune export`, and name that as the model"
        raise ValueRefused("adapter_name_or_path", str(model.adapter_name_or_path), reason)
    for key, kinds in READ_BY.items():
        value = getattr(adapter, key)
        if kinds in (MIXTURE, MULTIWAY, MIXTURE + MULTIWAY) and value != getattr(AdapterConfig(), key):
            reason = f"finetuning_type is {kind!r}, and only {' and '.join(kinds)} have experts; write one of the two"
            raise ValueRefused(key, value, reason)
    if kind == "freeze" and adapter.freeze_trainable_layers == 0:
        raise ValueRefused("freeze_trainable_layers", 0, "no layer would be trained; write a number such as 2")


def _check_preferences(config: FinetuneConfig) -> None:
    if config.training.stage != "dpo":
        return
    if config.adapter.finetuning_type != "lora":
        reason = "stage is 'dpo', and pairs teach LoRA alone; write lora"
        raise ValueRefused("finetuning_type", config.adapter.finetuning_type, reason)
    for key in ("packing", "share_pictures"):
        if getattr(config.data, key):
            raise ValueRefused(key, True, "stage is 'dpo', and the rows of a pair stand apart; write false")
    for key in ("compute_accuracy", "predict_with_generate"):
        if getattr(config.evaluation, key):
            raise ValueRefused(key, True, "stage is 'dpo', which measures eval_rewards/accuracies; write false")


def _check_only_for(config: FinetuneConfig) -> None:
    kind = config.adapter.finetuning_type
    for key, kinds in ONLY_FOR.items():
        value = getattr(config.training, key)
        if value and kind not in kinds:
            raise ValueRefused(key, value, f"finetuning_type is {kind!r}, and only {' and '.join(kinds)} can have it")


def _check_frames(config: FinetuneConfig) -> None:
    least, most = config.data.video_min_pixels, config.data.video_max_pixels or config.data.image_max_pixels
    if least is not None and most is not None and least > most:
        reason = f"the largest frame has {most} pixels; write a smaller number, or raise video_max_pixels"
        raise ValueRefused("video_min_pixels", least, reason)


def _check_principal(config: FinetuneConfig) -> None:
    """Refuse what would change the directions that the adapter takes away, or has none."""
    bits, decay = config.model.quantization_bit, config.training.weight_decay
    if not config.adapter.pissa_init or config.model.adapter_name_or_path is not None:
        return
    if bits is not None:
        reason = "pissa_init is set, and it decomposes weights that are whole; leave it out or write pissa_init: false"
        raise ValueRefused("quantization_bit", bits, reason)
    if decay:
        reason = "pissa_init is set, and it would wear away what the base knows; write 0"
        raise ValueRefused("weight_decay", decay, reason)


def _check_best(config: FinetuneConfig) -> None:
    evaluation = config.evaluation
    for key in ("load_best_model_at_end", "early_stopping_steps"):
        value = getattr(evaluation, key)
        if not value:
            continue
        if not (evaluation.val_size or evaluation.eval_dataset):
            raise ValueRefused(key, value, "no rows are held back to measure on; write val_size or eval_dataset")
        if evaluation.eval_strategy == "no":
            raise ValueRefused(key, value, "nothing is measured meanwhile; write eval_strategy: steps or epoch")
    if evaluation.load_best_model_at_end and config.training.save_strategy == "no":
        raise ValueRefused("load_best_model_at_end", True, "no checkpoint is written; write save_strategy: steps")
    _check_measure(config)


def _check_measure(config: FinetuneConfig) -> None:
    """Refuse a measure that is not taken, and one turned upside down."""
    evaluation = config.evaluation
    metric, needed = evaluation.metric_for_best_model, _needed_for(evaluation.metric_for_best_model)
    taken = {
        "compute_accuracy: true": evaluation.compute_accuracy,
        "predict_with_generate: true": evaluation.predict_with_generate,
        "stage: dpo": config.training.stage == "dpo",
    }
    if needed is not None and not taken[needed]:
        others = ", ".join(name for name in MEASURES if (also := _needed_for(name)) is None or taken[also])
        raise ValueRefused("metric_for_best_model", metric, f"it is not measured; write {needed}, or one of {others}")
    if evaluation.greater_is_better == evaluation.decided_by_loss:
        most, word = ("lowest", "false") if evaluation.decided_by_loss else ("highest", "true")
        reason = f"of {metric} the {most} is the best; write {word}, or leave it out"
        raise ValueRefused("greater_is_better", evaluation.greater_is_better, reason)


def _needed_for(metric: str) -> str | None:
    """Return what must stand in the configuration for the measure to be taken; None for nothing."""
    if metric == "eval_loss":
        return None
    if metric.startswith("eval_rewards/"):
        return "stage: dpo"
    return "compute_accuracy: true" if metric == "eval_accuracy" else "predict_with_generate: true"


def _check_multiway(adapter: AdapterConfig) -> None:
    if adapter.top_k > adapter.num_experts:
        raise ValueRefused("top_k", adapter.top_k, f"there are only {adapter.num_experts} experts (num_experts)")
    if adapter.num_multiway_layers + adapter.num_fusion_layers == 0:
        raise ValueRefused("num_multiway_layers", 0, "num_fusion_layers is 0, too, and nothing is left to train")


def _check_mixture(adapter: AdapterConfig) -> None:
    experts, among = adapter.num_experts, "(num_experts)"
    if adapter.router == "modality":
        if experts % 2:
            raise ValueRefused("num_experts", experts, "router: modality gives pictures and text a half each")
        experts, among = experts // 2, "for each modality (half of num_experts)"
    if adapter.top_k > experts:
        raise ValueRefused("top_k", adapter.top_k, f"there are only {experts} experts {among}")
    if adapter.token_mixing == 1:
        raise ValueRefused("token_mixing", 1, "it counts the token itself; 0 is no mixing, 2 looks one token back")

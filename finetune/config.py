"""What a training run is told: one tree of dataclasses, read from YAML and the command line.

Keys are spelled as LLaMA-Factory spells them where they mean the same, and no key stands in two sections, so that its
flat files are read as they are; `finetune.foreign_keys` knows the spellings of others. Loads no model, opens no data.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from finetune.errors import FinetuneError
from finetune.foreign_keys import Refused, translate

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedTokenizerBase

RESOLVED = "finetune.yaml"


class ConfigUnreadable(FinetuneError):
    """The file is missing, no YAML, or no mapping."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The configuration {str(path)!r} {reason}; give a YAML file of keys and values.")


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


class ValueRefused(FinetuneError):
    """A value of the wrong type or out of range."""

    def __init__(self, key: str, value: object, reason: str) -> None:
        self.key, self.value, self.reason = key, value, reason
        super().__init__(f"The key {key!r} cannot be {value!r}: {reason}; correct it.")


class KeyMissing(FinetuneError):
    """A key without which nothing can begin."""

    def __init__(self, key: str, example: str) -> None:
        self.key, self.example = key, example
        super().__init__(f"The key {key!r} is missing; write for example: {key}: {example}")


def _listed(value: object) -> object:
    """Take "a,b" and a single value for a list, as LLaMA-Factory does; a regular expression is one value."""
    if value is None:
        return ()
    if isinstance(value, str):
        parts = [value] if set(value) & set("\\()[]{}*|") else value.split(",")
        return tuple(part.strip() for part in parts if part.strip() and part.strip().lower() != "none")
    return (value,) if isinstance(value, Path) else value


def _unset(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() in ("", "none", "null") else value


def _no(value: object) -> object:
    return "no" if value is False else value  # YAML reads a bare no as false


When = Annotated[Literal["no", "steps", "epoch"], BeforeValidator(_no)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Share = Annotated[float, Field(ge=0, le=1)]
Least0 = Annotated[int, Field(ge=0)]
Least1 = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class ModelConfig:
    """The base model, which is not changed, and how it is held in memory."""

    model_name_or_path: str = "tiny"
    """`tiny`, a hub id that was pulled, or a folder."""
    adapter_name_or_path: Annotated[Path | None, BeforeValidator(_unset)] = None
    """Folder of an adapter that is trained on instead of a new one."""
    quantization_bit: Literal[4, 8] | None = None
    """Holds the base in 4 bits (NF4) or 8 (int8); needs bitsandbytes."""
    bf16: bool | None = None
    """bfloat16 base and arithmetic; none = as the server would load it: float32 for tiny, else what the device does."""
    fp16: bool = False
    """float16 base and arithmetic with loss scaling; needs a GPU."""
    freeze_vision_tower: bool = True
    """Leaves the vision tower as it is; only then are its features cached."""
    freeze_multi_modal_projector: bool = True
    """Leaves the mergers between tower and language model as they are."""
    freeze_language_model: bool = False
    """Puts no adapter into the language model."""


@dataclass(frozen=True)
class DataConfig:
    """The rows and how they become batches."""

    dataset: Names = ()
    """Files or folders of rows, or names from `dataset_info.json`; several are joined."""
    dataset_dir: Path = Path("data")
    """Where a dataset is looked for that is no path itself."""
    dataset_format: str = "auto"
    """How the files are read: `auto`, or a format of `lorgnette data convert`."""
    media_dir: Annotated[Path | None, BeforeValidator(_unset)] = None
    """Folder of the pictures; none = beside the file that names them."""
    max_samples: Annotated[int, Field(ge=1)] | None = None
    """Most rows of each dataset, the first ones."""
    cutoff_len: Annotated[int, Field(ge=16)] = 2048
    """Longest row in tokens: text behind the last picture is cut, a row whose pictures alone are longer is left out."""
    image_max_pixels: Annotated[int, Field(ge=1024)] | None = None
    """Pixel budget of a picture, and of a video's frame; larger ones are scaled down; none = the checkpoint's own."""
    mask_history: bool = False
    """Learns only the last answer of a conversation, not those before it."""
    packing: bool = False
    """Puts rows behind one another into sequences of `cutoff_len`; exact, no row sees another."""
    share_pictures: bool = False
    """Puts rows about the same picture into one sequence that holds it once; exact, and the batches are other ones."""
    group_by_length: bool = True
    """Draws batches of rows of like length, which need little padding."""
    preprocessing_num_workers: Least0 = 0
    """Processes that open pictures and tokenize before the training; 0 = this one."""
    dataloader_num_workers: Least0 = 0
    """Processes that make batches during the training; 0 = this one."""
    vision_cache: bool = True
    """Keeps what the frozen vision tower sees on the disk, so that each picture is looked at once."""
    vision_cache_dir: Annotated[Path | None, BeforeValidator(_unset)] = None
    """Where; none = the user's cache folder."""
    vision_cache_gib: Positive = 20.0
    """Largest size of that folder; the features least recently used go first."""


@dataclass(frozen=True)
class AdapterConfig:
    """What is trained."""

    finetuning_type: Literal["lora", "moe_lora", "alora", "ia3"] = "lora"
    """LoRA, a mixture of LoRA experts, activated LoRA, or IA3."""
    lora_rank: Least1 = 8
    """Rank r of each low-rank update, and of each expert."""
    lora_alpha: Annotated[int, Field(ge=1)] | None = None
    """Its scale is lora_alpha / lora_rank; none = 2 * lora_rank."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on what goes into the update."""
    lora_target: Names = ("all",)
    """`all` linear layers that are not frozen, names such as q_proj,v_proj, or one regular expression."""
    additional_target: Names = ()
    """Modules that are trained whole and saved with the adapter (PEFT's modules_to_save)."""
    use_rslora: bool = False
    """Scales by the root of the rank."""
    use_dora: bool = False
    """Trains magnitude and direction apart (DoRA)."""
    alora_invocation: str = "<|im_start|>assistant\n"
    """The text from which an activated LoRA works."""
    num_experts: Least1 = 4
    """Experts of each layer of a mixture."""
    top_k: Least1 = 2
    """Experts that work on a token."""
    router: Literal["token", "modality"] = "token"
    """`modality` gives picture tokens and text tokens experts of their own."""
    router_aux_loss_coef: Annotated[float, Field(ge=0)] = 0.01
    """Weight of the loss that keeps the experts evenly used."""
    router_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on what the router reads."""
    token_mixing: Least0 = 0
    """Kernel of a causal depthwise mixing over tokens behind the experts (MoT-LoRA); 0 = none."""

    def peft_config(
        self, model: ModelConfig | None = None, tokenizer: "PreTrainedTokenizerBase | None" = None
    ) -> "PeftConfig":
        """Return PEFT's form of this section; an activated LoRA needs the tokenizer."""
        from finetune.tuners import build_peft_config

        return build_peft_config(self, model or ModelConfig(), tokenizer)


@dataclass(frozen=True)
class TrainingConfig:
    """How it is trained."""

    output_dir: Path = Path("runs/finetune")
    """Folder of checkpoints, adapter, log, curves and report."""
    overwrite_output_dir: bool = False
    """Begins anew in a folder that holds a run; its checkpoints are removed."""
    resume_from_checkpoint: Annotated[bool | str, BeforeValidator(lambda value: value or False)] = False
    """Goes on from the newest whole checkpoint in output_dir (true), or from the one named."""
    per_device_train_batch_size: Least1 = 1
    """Rows (packs, where packing) of a step on each device."""
    gradient_accumulation_steps: Least1 = 8
    """Batches that make one step."""
    learning_rate: Positive = 1e-4
    """The highest."""
    num_train_epochs: Positive = 3.0
    """Times that every row is seen."""
    max_steps: int = -1
    """Ends after so many steps, whatever num_train_epochs says; -1 = not set."""
    lr_scheduler_type: str = "cosine"
    """linear, cosine, constant, constant_with_warmup, polynomial, ..."""
    warmup_ratio: Share = 0.0
    """Share of the steps in which the learning rate rises."""
    warmup_steps: Least0 = 0
    """The same as a number; it wins over the ratio."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's."""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """Gradients longer than this are shortened to it; 0 = never."""
    optim: str = "adamw_torch"
    """adamw_torch, adamw_torch_fused, adafactor, paged_adamw_8bit, ..."""
    gradient_checkpointing: bool = False
    """Computes activations again on the way back instead of keeping them: less memory, a third more time."""
    save_strategy: When = "steps"
    """When checkpoints are written; one is written at the end in any case."""
    save_steps: Least1 = 500
    """Steps between two checkpoints."""
    save_total_limit: Annotated[int, Field(ge=1)] | None = 3
    """Checkpoints that are kept, the newest ones."""
    save_only_model: bool = False
    """Leaves the optimizer out of checkpoints: smaller, and cannot be resumed."""
    seed: int = 42
    """Of initial weights, order and dropout."""
    ddp_timeout: Least1 = 1800
    """Seconds that a process waits for the others."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What is held back, and how often the loss on it is measured."""

    eval_dataset: Names = ()
    """Files of rows that are only evaluated; none = a part of `dataset`."""
    val_size: Annotated[float, Field(ge=0)] = 0.0
    """Part of the rows that is held back, about: a share below 1, or a number; rows about one picture stay together."""
    eval_strategy: When = "no"
    """When the loss on them is measured."""
    eval_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps between two measurements; none = logging_steps."""
    per_device_eval_batch_size: Least1 = 1
    """Rows at once on each device."""


@dataclass(frozen=True)
class ReportConfig:
    """What is told of the run."""

    logging_steps: Least1 = 10
    """Steps between two lines of the log."""
    logging_first_step: bool = True
    """Logs the first step, too."""
    report_to: Names = ()
    """tensorboard, wandb, swanlab; none of them needs the network in its offline mode."""
    use_swanlab: bool = False
    """The same as report_to: swanlab."""
    run_name: Annotated[str | None, BeforeValidator(_unset)] = None
    """Name of the run there; none = the name of output_dir."""
    swanlab_project: str = "lorgnette"
    """SwanLab's project."""
    swanlab_mode: Literal["local", "cloud", "offline", "disabled"] = "local"
    """`local` writes into output_dir and needs no account."""
    plot_loss: bool = True
    """Draws the curves as PNG and into the report."""
    report_samples: Least0 = 4
    """Held-back rows (or the first ones) that base and adapter answer for the report; 0 = none."""
    report_max_new_tokens: Least1 = 64
    """Longest of these answers, in tokens."""


@dataclass(frozen=True)
class FinetuneConfig:
    """The whole tree."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was made of keys of other programs, for the user to read."""

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return sections of keys and plain values, as YAML holds them."""
        return {
            section: {f.name: _plain(getattr(getattr(self, section), f.name)) for f in fields(cls)}
            for section, cls in SECTIONS.items()
        }

    def to_yaml(self) -> str:
        """Return the resolved configuration, which `load_config` reads back to the same."""
        import yaml

        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def changed(self, **sections: Mapping[str, Any]) -> "FinetuneConfig":
        """Return a copy with other values, such as `changed(training={"max_steps": 1})`; they are not validated."""
        return replace(self, **{name: replace(getattr(self, name), **values) for name, values in sections.items()})


SECTIONS: dict[str, type] = {
    "model": ModelConfig,
    "data": DataConfig,
    "adapter": AdapterConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "report": ReportConfig,
}


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> FinetuneConfig:
    """Read a YAML file, flat or in sections, and lay the command line over it.

    Args:
        path: The file; None for the defaults.
        overrides: `--section.key=value`, `--key=value`, `--key value`, or `--key` for true.

    Raises:
        ConfigUnreadable, UnknownKey, KeyRefused, KeyTwice, ValueRefused: In words for the user.
    """
    notes: list[str] = []
    values = _resolve(list(_flatten(_read(path))) if path is not None else [], notes)
    values |= _resolve(list(parse_overrides(overrides)), notes)
    return _build(values, tuple(dict.fromkeys(notes)))


def parse_overrides(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield key and value of each flag of a command line; values are read as YAML reads them.

    Raises:
        UnknownKey: A word that is no flag.
    """
    import yaml

    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UnknownKey(word, ["--section.key=value"])
        key, equals, text = word[2:].partition("=")
        if not equals and rest and not rest[0].startswith("--"):
            equals, text = "=", rest.pop(0)
        try:
            value = yaml.safe_load(text) if equals else True
        except yaml.YAMLError:
            value = text
        yield key.replace("-", "_"), text if isinstance(value, dict) else value


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigUnreadable(path, "does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigUnreadable(path, f"cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigUnreadable(path, f"is no YAML ({' '.join(str(error).split())})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigUnreadable(path, "holds no mapping of keys")
    return content


def _flatten(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


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
    return difflib.get_close_matches(key, homes, n=2, cutoff=0.6)


@cache
def _adapters() -> dict[str, "TypeAdapter[Any]"]:
    found: dict[str, TypeAdapter[Any]] = {}
    for cls in SECTIONS.values():
        hints = get_type_hints(cls, include_extras=True)
        found |= {f.name: TypeAdapter(hints[f.name]) for f in fields(cls)}
    return found


def _build(values: Mapping[str, Any], notes: tuple[str, ...]) -> FinetuneConfig:
    checked: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for key, value in values.items():
        try:
            checked[_homes()[key]][key] = _adapters()[key].validate_python(value)
        except ValidationError as error:
            reasons = dict.fromkeys(e["msg"][0].lower() + e["msg"][1:] for e in error.errors())
            raise ValueRefused(key, value, " or ".join(reasons)) from None
    sections = {section: cls(**checked[section]) for section, cls in SECTIONS.items()}
    config = FinetuneConfig(**sections, notes=notes)
    _check_together(config)
    return config


def _check_together(config: FinetuneConfig) -> None:
    model, adapter = config.model, config.adapter
    if model.bf16 and model.fp16:
        raise ValueRefused("fp16", True, "bf16 is set, too, and only one of them can be")
    if model.freeze_language_model and model.freeze_vision_tower and model.freeze_multi_modal_projector:
        raise ValueRefused("freeze_language_model", True, "tower and projector are frozen, too, and nothing is left")
    if adapter.finetuning_type == "moe_lora" and adapter.top_k > adapter.num_experts:
        raise ValueRefused("top_k", adapter.top_k, f"there are only {adapter.num_experts} experts (num_experts)")
    if adapter.use_dora and adapter.finetuning_type != "lora":
        raise ValueRefused("use_dora", True, f"finetuning_type is {adapter.finetuning_type!r}, and only lora has it")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

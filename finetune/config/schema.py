"""What a training run is told: one tree of dataclasses, which `finetune.config.loading` reads.

Keys are spelled as LLaMA-Factory spells them where they mean the same, and no key stands in two sections, so that its
flat files are read as they are. Loads no model, opens no data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from finetune.config.values import (
    Deciding,
    Folder,
    Least0,
    Least1,
    Names,
    Optimizer,
    Positive,
    Scheduler,
    Share,
    When,
    flag_or_path,
    otherwise,
    share_or_number,
    whole,
)
from finetune.errors import FinetuneError

if TYPE_CHECKING:
    pass

RESOLVED = "finetune.yaml"


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


WHOLE = ("full", "freeze")
QUANTIZATIONS: dict[Literal[4, 8] | None, Literal["auto", "nf4", "int8"]] = {None: "auto", 4: "nf4", 8: "int8"}


@dataclass(frozen=True)
class ModelConfig:
    """The base model, which is not changed, and how it is held in memory."""

    model_name_or_path: str = "tiny"
    """`tiny`, a hub id that was pulled, or a folder."""
    adapter_name_or_path: Path | None = None
    """Folder of an adapter that is trained on instead of a new one."""
    quantization_bit: Annotated[Literal[4, 8] | None, BeforeValidator(whole)] = None
    """Holds the base in 4 bits (NF4) or 8 (int8); needs bitsandbytes."""
    bf16: bool | None = None
    """bfloat16 base and arithmetic; none = as the server would load it: float32 for tiny, else what the device does."""
    fp16: bool = False
    """float16 base and arithmetic with loss scaling; slow on most CPUs."""
    freeze_vision_tower: bool = True
    """Leaves the vision tower as it is; only then are its features cached."""
    freeze_multi_modal_projector: bool = True
    """Leaves the mergers between tower and language model as they are."""
    freeze_language_model: bool = False
    """Puts no adapter into the language model."""

    @property
    def quantization(self) -> Literal["auto", "nf4", "int8"]:
        """The base's form in the words of the model's settings."""
        return QUANTIZATIONS[self.quantization_bit]


@dataclass(frozen=True)
class DataConfig:
    """The rows and how they become batches."""

    dataset: Names = ()
    """Files or folders of rows, or names from `dataset_info.json`; several are joined."""
    dataset_dir: Path = Path("data")
    """Where a dataset is looked for that is no path itself."""
    dataset_format: str = "auto"
    """How the files are read: `auto`, or a format of `lorgnette data convert`."""
    media_dir: Path | None = None
    """Folder of the pictures; none = beside the file that names them."""
    max_samples: Annotated[int, Field(ge=1)] | None = None
    """Most rows of each dataset, the first ones."""
    cutoff_len: Annotated[int, Field(ge=16)] = 2048
    """Longest row in tokens: text behind the last picture is cut, a row whose pictures alone are longer is left out."""
    image_max_pixels: Annotated[int, Field(ge=1024)] | None = None
    """Pixel budget of a picture, and of a video's frame; larger ones are scaled down; none = the checkpoint's own."""
    video_max_pixels: Annotated[int, Field(ge=1024)] | None = None
    """The same of a video's frame alone, whatever the number of frames; none = as of a picture."""
    video_min_pixels: Annotated[int, Field(ge=1)] | None = None
    """Smaller frames are scaled up to it; none = the checkpoint's own least size."""
    mask_history: bool = False
    """Learns only the last answer of a conversation, not those before it."""
    packing: Annotated[bool, otherwise(False)] = False
    """Puts rows behind one another into sequences of `cutoff_len`; exact, no row sees another."""
    share_pictures: bool = False
    """Puts rows about the same picture into one sequence that holds it once; exact, and the batches are other ones."""
    group_by_length: bool = True
    """Draws batches of rows of like length, which need little padding."""
    preprocessing_num_workers: Annotated[Least0, otherwise(0)] = 0
    """Processes that open pictures and tokenize before the training; 0 = this one."""
    dataloader_num_workers: Least0 = 0
    """Processes that make batches during the training; 0 = this one."""
    vision_cache: bool = True
    """Keeps what the frozen vision tower sees on the disk, so that each picture is looked at once."""
    vision_cache_dir: Folder | None = None
    """Where; none = the user's cache folder."""
    vision_cache_gib: Positive = 20.0
    """Largest size of that folder; the features least recently used go first."""


@dataclass(frozen=True)
class AdapterConfig:
    """What is trained."""

    finetuning_type: Literal["lora", "moe_lora", "alora", "ia3", "multiway", "full", "freeze"] = "lora"
    """LoRA, a mixture of LoRA experts, activated LoRA, IA3, Multiway's experts; or the model, whole or in part."""
    lora_rank: Least1 = 8
    """Rank r of each low-rank update, and of each expert."""
    lora_alpha: Annotated[int, Field(ge=1)] | None = None
    """Its scale is lora_alpha / lora_rank; none = 2 * lora_rank."""
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on what goes into the update."""
    lora_target: Annotated[Names, Field(min_length=1), otherwise("all")] = ("all",)
    """`all` linear layers that are not frozen, names such as q_proj,v_proj, or one regular expression."""
    additional_target: Names = ()
    """Modules that are trained whole and saved with the adapter (PEFT's modules_to_save)."""
    freeze_trainable_layers: int = 2
    """Of `freeze`: so many of the last layers are trained; of the first where it is negative."""
    freeze_trainable_modules: Annotated[Names, Field(min_length=1), otherwise("all")] = ("all",)
    """Which parts of these layers: `all`, or names such as mlp,self_attn."""
    freeze_extra_modules: Names = ()
    """Modules outside of layers that are trained too, such as embed_tokens."""
    use_rslora: bool = False
    """Scales by the root of the rank."""
    use_dora: bool = False
    """Trains magnitude and direction apart (DoRA)."""
    pissa_init: bool = False
    """Begins with the strongest directions of the weights (PiSSA); saved as a plain LoRA of twice lora_rank."""
    pissa_iter: Annotated[int, Field(ge=-1)] = 16
    """Passes that look for these directions; -1 = exactly, which takes long for large models."""
    alora_invocation: Annotated[str, Field(min_length=1)] = "<|im_start|>assistant\n"
    """The text from which an activated LoRA works."""
    num_experts: Least1 = 4
    """Experts of each layer of a mixture; of each modality in each layer of Multiway."""
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
    num_multiway_layers: Least0 = 4
    """Layers of Multiway whose experts are apart for text and pictures."""
    num_fusion_layers: Least0 = 2
    """Layers of Multiway behind them, with one network for all tokens."""
    num_shared_experts: Least0 = 1
    """Experts of each modality of Multiway that work on all its tokens."""
    expert_size: Annotated[int, Field(ge=1)] | None = None
    """Width of a routed expert of Multiway; none = a quarter of the model's."""
    shared_expert_size: Annotated[int, Field(ge=1)] | None = None
    """Width of a shared one; none = the model's."""
    fusion_size: Annotated[int, Field(ge=1)] | None = None
    """Width of a fusion layer's network; none = four times the model's."""
    attention_heads: Least1 = 16
    """Attention heads of Multiway."""
    attention_head_dim: Least1 = 128
    """Of a head's part without position, and of its values."""
    attention_rope_dim: Annotated[int, Field(ge=8, multiple_of=2)] = 64
    """Of a head's part with position."""
    q_rank: Least1 = 128
    """To which Multiway compresses queries."""
    kv_rank: Least1 = 256
    """To which it compresses keys and values, which is what its cache holds."""
    balance_rate: Annotated[float, Field(ge=0)] = 1e-4
    """Step by which Multiway's experts are kept evenly used; 0 = they are not."""

    @property
    def is_whole(self) -> bool:
        """Whether weights of the model itself are trained, and it is saved whole."""
        return self.finetuning_type in WHOLE


@dataclass(frozen=True)
class TrainingConfig:
    """How it is trained."""

    stage: Literal["sft", "dpo"] = "sft"
    """Supervised, or by pairs of a better and a worse answer (needs lorgnette[preference])."""
    pref_beta: Annotated[float, Field(gt=0)] = 0.1
    """Of DPO: how much it costs to leave the model with which it begins."""
    pref_loss: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"
    """Of DPO."""
    output_dir: Folder = Path("runs/finetune")
    """Folder of checkpoints, adapter, log, curves and report."""
    overwrite_output_dir: bool = False
    """Begins anew in a folder that holds a run; its checkpoints are removed."""
    resume_from_checkpoint: Annotated[bool | str, BeforeValidator(flag_or_path)] = False
    """Goes on from the newest whole checkpoint in output_dir (true), or from the one named."""
    per_device_train_batch_size: Least1 = 1
    """Rows (packs, where packing) of a step on each device."""
    gradient_accumulation_steps: Least1 = 8
    """Batches that make one step."""
    learning_rate: Positive = 1e-4
    """The highest."""
    num_train_epochs: Positive = 3.0
    """Times that every row is seen."""
    max_steps: Annotated[int, Field(ge=-1), otherwise(-1)] = -1
    """Ends after so many steps, whatever num_train_epochs says; -1 = not set."""
    lr_scheduler_type: Scheduler = "cosine"
    """linear, cosine, cosine_with_restarts, polynomial, constant, constant_with_warmup, inverse_sqrt."""
    warmup_ratio: Share = 0.0
    """Share of the steps in which the learning rate rises."""
    warmup_steps: Least0 = 0
    """The same as a number; it wins over the ratio."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """AdamW's."""
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    """Gradients longer than this are shortened to it; 0 = never."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of AdamW: how slowly the mean of the gradient changes."""
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """The same of its square."""
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of that square."""
    data_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Of the order of the rows; none = seed."""
    optim: Optimizer = "adamw_torch"
    """adamw_torch, adamw_torch_fused, adafactor, sgd, paged_adamw_8bit, ...; those of 8 bits need bitsandbytes."""
    gradient_checkpointing: bool = False
    """Computes activations again on the way back instead of keeping them: less memory, a third more time."""
    denoising_steps: Least0 = 0
    """Steps before the first in which Multiway learns to restore embeddings that were blotted out."""
    save_strategy: When = "steps"
    """When checkpoints are written; one is written at the end in any case."""
    save_steps: Least1 = 500
    """Steps between two checkpoints."""
    save_total_limit: Annotated[int, Field(ge=1)] | None = 3
    """Checkpoints that are kept, the newest ones."""
    save_only_model: bool = False
    """Leaves the optimizer out of checkpoints: smaller, and cannot be resumed."""
    loraplus_lr_ratio: Annotated[float, Field(gt=0)] | None = None
    """LoRA+: B learns so many times faster than learning_rate; none = as fast as A."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Of initial weights, order and dropout."""
    ddp_timeout: Least1 = 1800
    """Seconds that a process waits for the others."""


@dataclass(frozen=True)
class EvaluationConfig:
    """What is held back, and how often it is measured."""

    eval_dataset: Names = ()
    """Files of rows that are only evaluated; none = a part of `dataset`."""
    val_size: Annotated[float, Field(ge=0), AfterValidator(share_or_number)] = 0.0
    """Part of the rows that is held back, about: a share below 1, or a number; rows about one picture stay together."""
    eval_strategy: When = "no"
    """When they are measured."""
    eval_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps between two measurements; none = logging_steps."""
    per_device_eval_batch_size: Least1 = 1
    """Rows at once on each device."""
    compute_accuracy: bool = False
    """Measures which share of the labelled tokens the model has right, too (eval_accuracy), the mean over rows."""
    predict_with_generate: bool = False
    """Lets the model answer these rows at each measurement, and measures the answers, too; it takes its time."""
    load_best_model_at_end: bool = False
    """Keeps the weights of the best measurement in place of the last ones."""
    early_stopping_steps: Annotated[int, Field(ge=1)] | None = None
    """Ends after so many measurements in a row without a better one; none = never."""
    metric_for_best_model: Deciding = "eval_loss"
    """What tells the best one: eval_loss, eval_accuracy, eval_exact, eval_rouge-l, ...; `eval_` may be left out."""
    greater_is_better: bool | None = None
    """Whether more of it is better; none = yes, unless it is a loss."""

    @property
    def decided_by_loss(self) -> bool:
        """Whether less of what decides is better, which transformers tells by its name."""
        return self.metric_for_best_model.endswith("loss")


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
    run_name: str | None = None
    """Name of the run there; none = the name of output_dir."""
    swanlab_project: str = "lorgnette"
    """SwanLab's project."""
    swanlab_mode: Literal["local", "cloud", "offline", "disabled"] = "local"
    """`local` writes into output_dir and needs no account."""
    plot_loss: bool = True
    """Draws the curves as PNG and into the report."""
    report_samples: Least0 = 4
    """Held-back rows (or the first ones) that base and adapter answer for the report; 0 = none."""
    report_sample_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps between answers to these rows on the way, kept in answers.jsonl; none = only before and after."""
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


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

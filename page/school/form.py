"""What the board's form asks, and the configuration that its answers make. It draws nothing and trains nothing.

Values are checked by what checks the command line's; the file that is written is one to run by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.atomic_files import write_whole
from page.errors import PageError

if TYPE_CHECKING:
    from finetune.config.schema import FinetuneConfig

PRACTICE = Path("runs/charts")
"""Where the pictures to practise with are drawn."""
PRACTICE_ROWS = 1_000
ASKED = (
    "dataset", "output_dir", "model_name_or_path", "finetuning_type", "lora_rank", "learning_rate",
    "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps", "val_size",
)  # fmt: skip
"""Keys with a field of their own; all others are written as YAML."""
QWEN: dict[str, Any] = {
    "model_name_or_path": "Qwen/Qwen3-VL-2B-Instruct", "dataset": "data/captions.csv", "image_max_pixels": 262144,
    "bf16": True, "val_size": 0.05, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4,
    "learning_rate": 1e-4, "num_train_epochs": 3.0, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1,
    "eval_strategy": "epoch", "per_device_eval_batch_size": 2, "logging_steps": 10, "save_steps": 100,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "preset_practice": {
        "model_name_or_path": "tiny", "dataset": str(PRACTICE / "scenes.jsonl"), "output_dir": "runs/charts-lora",
        "finetuning_type": "lora", "lora_rank": 16, "lora_target": "all", "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1, "learning_rate": 2e-3, "max_steps": 1000, "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.1, "val_size": 200, "eval_strategy": "steps", "eval_steps": 250,
        "per_device_eval_batch_size": 16, "logging_steps": 10, "save_steps": 250, "overwrite_output_dir": True,
    },
    "preset_lora": {**QWEN, "output_dir": "runs/lora", "finetuning_type": "lora", "lora_target": "all"},
    "preset_mixture": {
        **QWEN, "output_dir": "runs/moe-lora", "finetuning_type": "moe_lora", "num_experts": 4, "top_k": 2,
        "router": "token", "lora_rank": 4, "lora_target": "q_proj,k_proj,v_proj,o_proj",
        "dataset": "data/captions.csv, data/questions.jsonl",
    },
    "preset_8gb": {
        "model_name_or_path": "Qwen/Qwen3-VL-4B-Instruct", "quantization_bit": 4, "image_max_pixels": 131072,
        "bf16": True, "dataset": "data/captions.csv", "cutoff_len": 1024, "packing": True, "finetuning_type": "lora",
        "lora_rank": 8, "lora_alpha": 16, "lora_dropout": 0.1, "lora_target": "all", "output_dir": "runs/qlora",
        "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "learning_rate": 1e-4,
        "num_train_epochs": 3.0, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1, "gradient_checkpointing": True,
        "logging_steps": 10, "save_steps": 50,
    },
}  # fmt: skip
"""Those of `examples/finetune`, which a wheel does not hold; a test compares them."""


@dataclass(frozen=True)
class Written:
    """A configuration that passed all checks."""

    config: "FinetuneConfig"
    file: Path
    text: str

    @property
    def command(self) -> str:
        """What does the same by hand."""
        return f"lorgnette finetune train {self.file}"


def fields_of(preset: str) -> tuple[dict[str, Any], str]:
    """Return the values of a preset's fields, and its other keys as YAML."""
    import yaml

    values = PRESETS[preset]
    rest = {key: value for key, value in values.items() if key not in ASKED}
    return {key: values.get(key, "") for key in ASKED}, yaml.safe_dump(rest, sort_keys=False)


def as_yaml(fields: Mapping[str, Any], rest: str) -> str:
    """Return the form's answers as YAML; an empty field is not written.

    Raises:
        PageError: The other keys are no YAML mapping, or one of them has a field of its own.
    """
    import yaml

    try:
        more = yaml.safe_load(rest) or {}
    except yaml.YAMLError as error:
        raise PageError("page_yaml_broken", reason=" ".join(str(error).split())[:200]) from None
    if not isinstance(more, dict):
        raise PageError("page_yaml_broken", reason="it is no list of keys and values")
    own = {key: yaml.safe_load(str(value)) for key, value in fields.items() if str(value).strip()}
    if twice := sorted(own.keys() & more.keys()):
        raise PageError("page_yaml_broken", reason=f"{twice[0]} has a field of its own")
    return yaml.safe_dump({**own, **more}, sort_keys=False, allow_unicode=True)


def write(text: str) -> Written:
    """Check a configuration and write it beside its output folder, as `OUTPUT_DIR.yaml`.

    Raises:
        FinetuneError: As the command line says it; nothing is written then.
        OSError: The place cannot be written.
    """
    from tempfile import TemporaryDirectory

    from finetune.config.loading import load_config
    from finetune.config.schema import KeyMissing

    with TemporaryDirectory(prefix="lorgnette-") as folder:
        draft = Path(folder) / "configuration.yaml"
        draft.write_text(text, "utf-8")
        config = load_config(draft)
    if not config.data.dataset:
        raise KeyMissing("dataset", "data/captions.csv")
    output = config.training.output_dir.expanduser().absolute()
    file = output.with_name(f"{output.name}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, text)
    return Written(config, file, text)


def practice_rows() -> Path:
    """Draw the pictures to practise with, where they are not there yet; blocks for seconds.

    Raises:
        FinetuneError: They cannot be written.
    """
    from finetune.data.drawn.scene_rows import write_scenes

    file = PRACTICE / "scenes.jsonl"
    return file if file.is_file() else write_scenes(PRACTICE_ROWS, PRACTICE, world="bars")

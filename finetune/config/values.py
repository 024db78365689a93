"""What a value of the configuration may be, and which spellings of other programs are taken for it. Knows no key."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field


def listed(value: object) -> object:
    """Take "a,b" and a single value for a list, as LLaMA-Factory does; a regular expression is one value."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value] if set(value) & set("\\()[]{}*|") else value.split(",")
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(part.strip() for part in value if part.strip() and part.strip().lower() != "none")
    return (value,) if isinstance(value, Path) else value


def no(value: object) -> object:
    """Take false for the word no, as which YAML reads a bare one."""
    return "no" if value is False else value


def whole(value: object) -> object:
    """Take digits for their number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def otherwise(default: object) -> BeforeValidator:
    """Take null for the default, where other programs write it so."""
    return BeforeValidator(lambda value: default if value is None else value)


def folder(value: object) -> object:
    """Refuse what would make a folder that nobody meant."""
    if value is None or (isinstance(value, str) and ("$" in value or not value.strip())):
        raise ValueError("write a path, with ~ for your home; variables are not put in here")
    return value


def flag_or_path(value: object) -> object:
    """Take words for true and false; another one is a path."""
    words = {"true": True, "false": False, "none": False, "null": False, "": False}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value or False


def measured(value: object) -> object:
    """Put `eval_` in front of a measure's name where it is missing, as transformers does; take null for the loss."""
    if value is None:
        return "eval_loss"
    return value if not isinstance(value, str) or value.startswith("eval_") else f"eval_{value}"


def share_or_number(value: float) -> float:
    """Refuse one and a half rows."""
    if value > 1 and value != int(value):
        raise ValueError("it is a share below 1, or a whole number of rows")
    return value


Scheduler = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"
]
"""transformers' schedulers that need nothing but a warm-up."""
Optimizer = Literal[
    "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop", "adamw_8bit", "adamw_bnb_8bit",
    "paged_adamw_8bit", "paged_adamw_32bit", "lion_8bit", "lion_32bit", "paged_lion_8bit", "paged_lion_32bit",
]  # fmt: skip
"""transformers' optimizers that need no arguments and no package but torch and bitsandbytes."""
Deciding = Annotated[
    Literal[
        "eval_loss", "eval_accuracy", "eval_exact", "eval_vqa", "eval_anls", "eval_bleu-4", "eval_rouge-1",
        "eval_rouge-2", "eval_rouge-l", "eval_cider", "eval_box-iou", "eval_box-acc", "eval_rewards/accuracies",
        "eval_rewards/margins",
    ],
    BeforeValidator(measured),
]  # fmt: skip
"""The loss, the share of right tokens, the evaluation's own measures of answers, and of pairs those of TRL."""
When = Annotated[Literal["no", "steps", "epoch"], BeforeValidator(no)]
Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
Folder = Annotated[Path, BeforeValidator(folder)]
Share = Annotated[float, Field(ge=0, le=1)]
Least0 = Annotated[int, Field(ge=0)]
Least1 = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

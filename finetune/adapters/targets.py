"""Which modules an adapter is put on: the names that `lora_target` stands for, and whether they may be trained."""

import re
from collections.abc import Iterable, Sequence

from finetune.config.schema import ModelConfig
from finetune.errors import FinetuneError

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

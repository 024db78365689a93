"""Runs beside one another: what they were told differently, and what came of it. It reads files and loads no model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.config.loading import MEASURES
from finetune.config.schema import RESOLVED
from finetune.errors import FinetuneError
from finetune.training.reporting.log import LOG, read_log

OUTCOME = ("steps", "last loss", "mean loss", "lowest held-back loss", "at step", "last held-back loss", "seconds")
OWN = {"output_dir", "run_name", "vision_cache_dir", "resume_from_checkpoint", "overwrite_output_dir"}
"""Keys that differ without meaning anything."""


class NoRun(FinetuneError):
    """A folder that holds no run."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"The folder {str(folder)!r} {reason}; give the output_dir of a training.")


@dataclass(frozen=True)
class Comparison:
    """A table: a name for each line, and for each a value a run."""

    runs: tuple[str, ...]
    told: dict[str, list[Any]]
    """Keys of the configuration that are not the same in all runs."""
    outcome: dict[str, list[float | None]]
    """What of it came, none where a run has no such number."""
    notes: tuple[str, ...] = ()
    """What is missing."""


def compare(folders: Sequence[Path]) -> Comparison:
    """Return what differs between runs.

    Raises:
        NoRun: A folder is none, or its files cannot be read.
    """
    configurations, outcomes, notes = [], [], []
    for folder in folders:
        config, outcome = _read(folder)
        configurations.append(config)
        outcomes.append(outcome)
        if not any((folder / name).is_file() for name in ("adapter_config.json", "config.json")):
            notes.append(f"{folder} did not come to its end: its last numbers are those of its log")
    keys = list(dict.fromkeys(key for config in configurations for key in config))
    told = {key: [config.get(key) for config in configurations] for key in keys if key not in OWN}
    return Comparison(
        _names(folders),
        {key: values for key, values in told.items() if any(value != values[0] for value in values)},
        {
            name: [outcome.get(name) for outcome in outcomes]
            for name in (*OUTCOME, *(f"highest {measure.removeprefix('eval_')}" for measure in MEASURES))
            if any(name in outcome for outcome in outcomes)
        },
        tuple(notes),
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    import yaml

    if not (folder / RESOLVED).is_file():
        raise NoRun(folder, f"has no {RESOLVED}" if folder.is_dir() else "does not exist")
    try:
        sections = yaml.safe_load((folder / RESOLVED).read_text("utf-8"))
        config = {key: value for section in sections.values() for key, value in section.items()}
        metrics = (
            json.loads((folder / "metrics.json").read_text("utf-8")) if (folder / "metrics.json").is_file() else {}
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, AttributeError) as error:
        raise NoRun(folder, f"holds files that cannot be read ({' '.join(str(error).split())[:120]})") from error
    lines = read_log(folder / LOG)
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    held_back = [(line["step"], line["eval_loss"]) for line in lines if "eval_loss" in line]
    outcome: dict[str, float] = {}
    if lines:
        outcome["steps"] = max(line["step"] for line in lines)
    if losses:
        outcome["last loss"] = losses[-1][1]
    if "train_loss" in metrics:
        outcome["mean loss"] = metrics["train_loss"]
    if held_back:
        step, lowest = min(held_back, key=lambda each: each[1])
        outcome |= {"lowest held-back loss": lowest, "at step": step, "last held-back loss": held_back[-1][1]}
    for measure in MEASURES:
        if measure != "eval_loss" and (found := [line[measure] for line in lines if measure in line]):
            outcome[f"highest {measure.removeprefix('eval_')}"] = max(found)
    if "train_runtime" in metrics:
        outcome["seconds"] = metrics["train_runtime"]
    return config, outcome


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the last part of each path, or the whole where two are the same."""
    short = [folder.resolve().name for folder in folders]
    return tuple(short if len(set(short)) == len(short) else map(str, folders))

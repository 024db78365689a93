"""The files in which LLaMA-Factory's users look for a training's results, made of our own log at its end."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune.output_files import whole_files
from finetune.training.reporting.log import LOG, read_log

ALL, TRAIN, EVAL, TRAINER_LOG = "all_results.json", "train_results.json", "eval_results.json", "trainer_log.jsonl"
CURVES = {"loss.png": "training_loss.png", "eval_accuracy.png": "training_eval_accuracy.png"}


def write_foreign_files(folder: Path, metrics: Mapping[str, float], steps: int) -> None:
    """Write results and log under the names, and in the form, that LLaMA-Factory gives them.

    Args:
        folder: Of the run, which has our log, and our curve of the loss where one was drawn.
        metrics: Of the training, and of the last evaluation.
        steps: All there were.

    Raises:
        OutputRefused, OSError: The disk.
    """
    results = {
        ALL: dict(metrics),
        TRAIN: {name: value for name, value in metrics.items() if not name.startswith("eval_")},
        EVAL: {name: value for name, value in metrics.items() if name.startswith(("eval_", "epoch"))},
    }
    if not any(name.startswith("eval_") for name in metrics):
        del results[EVAL]
    log = [_line(line, steps) for line in read_log(folder / LOG)]
    with whole_files([*(folder / name for name in results), folder / TRAINER_LOG]) as (*parts, log_part):
        for part, values in zip(parts, results.values(), strict=True):
            part.write_text(json.dumps(dict(sorted(values.items())), indent=4) + "\n", "utf-8")
        log_part.write_text("".join(json.dumps(line) + "\n" for line in log if line), "utf-8")
    for own, theirs in CURVES.items():
        if (folder / own).is_file():
            shutil.copyfile(folder / own, folder / theirs)


def _line(line: Mapping[str, Any], steps: int) -> dict[str, Any]:
    names = {"loss": "loss", "eval_loss": "eval_loss", "learning_rate": "lr", "epoch": "epoch"}
    found = {theirs: line[own] for own, theirs in names.items() if own in line}
    if not {"loss", "eval_loss"} & set(found):
        return {}
    step = int(line["step"])
    elapsed = float(line.get("seconds", 0.0))
    left = elapsed / step * (steps - step) if step else 0.0
    return {
        "current_steps": step, "total_steps": steps, **found,
        "percentage": round(100 * step / steps, 2) if steps else 100.0,
        "elapsed_time": _clock(elapsed), "remaining_time": _clock(left),
    }  # fmt: skip


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"

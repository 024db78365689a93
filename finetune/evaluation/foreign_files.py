"""The files in which LLaMA-Factory's users look for predictions, beside our own report."""

import json
from pathlib import Path
from typing import Any

from finetune.evaluation.outcome import Outcome
from finetune.output_files import whole_files

PREDICTIONS, RESULTS, ALL = "generated_predictions.jsonl", "predict_results.json", "all_results.json"
_THEIRS = {"bleu-4": "predict_bleu-4", "rouge-1": "predict_rouge-1", "rouge-2": "predict_rouge-2",
           "rouge-l": "predict_rouge-l"}  # fmt: skip


def write_predictions(outcome: Outcome, folder: Path, seconds: float) -> dict[str, Any]:
    """Write what the first who answered said, and its mean scores; returns the scores.

    Raises:
        OutputRefused: The folder cannot be written.
    """
    name = outcome.names[0]
    rows = [
        {"prompt": case.question, "predict": said or "", "label": case.answer}
        for case, said in zip(outcome.cases, outcome.said[name], strict=True)
    ]
    results: dict[str, Any] = {
        _THEIRS.get(measure.name, f"predict_{measure.name}"): round(mean, 4)
        for measure in outcome.measures
        if (mean := _mean(outcome.scores[name][measure.name])) is not None
    }
    results |= {
        "predict_runtime": round(seconds, 4),
        "predict_samples_per_second": round(len(rows) / seconds, 3) if seconds > 0 else 0.0,
        "predict_samples": len(rows),
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=4) + "\n"
    kept = _read(folder / ALL)
    with whole_files([folder / PREDICTIONS, folder / RESULTS, folder / ALL]) as (predictions, own, both):
        predictions.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        own.write_text(text, "utf-8")
        both.write_text(json.dumps({**kept, **results}, indent=4) + "\n", "utf-8")
    return results


def _mean(scores: Any) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

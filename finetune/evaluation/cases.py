"""What is evaluated: questions with right answers, from samples or from a file that also holds what models said.

Such a file is the `predictions.jsonl` that an evaluation leaves, the `generated_predictions.jsonl` of LLaMA-Factory, or
any JSON or JSONL with an id and an answer a row. It runs no model and computes no metric.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.dataset import Broken
from finetune.data.rows import read_rows
from finetune.data.sample import Origin, Sample
from finetune.errors import FinetuneError
from finetune.evaluation.metrics import Answered

GIVEN = "answers"
"""What the one that answered is called, where a file does not say."""
_SAID = ("prediction", "predict", "response", "answer", "output", "text")
_RIGHT = ("label", "answer", "caption")


@dataclass(frozen=True)
class Case:
    """One question and its right answers."""

    id: str
    question: str
    answer: str
    references: tuple[str, ...]
    category: str
    """`all` where the row has none."""
    pictures: tuple[Path, ...]
    origin: str
    """Where the row stood."""

    def answered(self, prediction: str) -> Answered:
        """Return the case with somebody's answer."""
        return Answered(prediction, self.answer, self.references)


def case_of(sample: Sample) -> Case:
    """Return the case of a sample: its last answer is the right one, what stands before it is given."""
    question = next((message.text for message in reversed(sample.messages) if message.role == "user"), "")
    return Case(
        sample.id,
        question.strip(),
        sample.answer,
        sample.references,
        sample.category or "all",
        sample.pictures,
        str(sample.origin),
    )


class PredictionsUnusable(FinetuneError):
    """A file of predictions that does not go together with the data, or says nothing."""

    def __init__(self, path: Path, reason: str, fix: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The predictions {str(path)!r} {reason}; {fix}.")


@dataclass(frozen=True)
class Predictions:
    """Who said what."""

    cases: list[Case]
    said: dict[str, list[str | None]]
    """By name of who answered, the answer to each case; none where there is none."""
    broken: list[Broken]
    """Rows that are no predictions."""


def read_predictions(path: Path, samples: Sequence[Sample] | None = None) -> Predictions:
    """Read predictions; without samples the rows must hold the right answers themselves.

    Args:
        path: `.json`, `.jsonl`, `.csv`, `.tsv` or `.parquet`.
        samples: What was asked; the rows are found by id, or by their place where they have none.

    Raises:
        DatasetNotFound, DatasetUnreadable: As `read_dataset`.
        PredictionsUnusable: They do not fit the data.
    """
    rows: list[Mapping[str, Any]] = []
    broken: list[Broken] = []
    for row in read_rows(path):
        reason = row.reason or (None if isinstance(row.value, dict) else "the row is no object")
        if reason is None and not _said(row.value, own=samples is not None):
            reason = "it holds no prediction"
        if reason is None and samples is None and _right(row.value) is None:
            reason = "it holds no right answer"
        if reason is not None:
            broken.append(Broken(Origin(path, row.line), reason))
        else:
            rows.append({"origin": str(Origin(path, row.line)), **row.value})
    if not rows:
        fix = "give rows with 'prediction' and 'answer', or name the data with --data"
        raise PredictionsUnusable(path, f"hold no usable row ({broken[0] if broken else 'the file is empty'})", fix)
    pairs = [(_case(row, path), row) for row in rows] if samples is None else _paired(samples, rows, path, broken)
    names = dict.fromkeys(name for row in rows for name in _said(row, own=samples is not None))
    said = {name: [_said(row, own=samples is not None).get(name) for _, row in pairs] for name in names}
    return Predictions([case for case, _ in pairs], said, broken)


def _paired(
    samples: Sequence[Sample], rows: Sequence[Mapping[str, Any]], path: Path, broken: Sequence[Broken]
) -> list[tuple[Case, Mapping[str, Any]]]:
    """Return each sample's case with its row; an empty row where there is none."""
    by_id = {_id(row): row for row in rows}
    if len(by_id) == len(rows) and "" not in by_id:
        if not any(sample.id in by_id for sample in samples):
            raise PredictionsUnusable(path, "share no id with the data", "give the data that they answer")
        return [(case_of(sample), by_id.get(sample.id, {})) for sample in samples]
    if len(rows) + len(broken) != len(samples):
        reason = f"have {len(rows) + len(broken)} rows without ids of their own, where the data has {len(samples)}"
        raise PredictionsUnusable(path, reason, "give each row the id of its question")
    if broken:
        raise PredictionsUnusable(path, f"have a broken row ({broken[0]}) and no ids of their own", "correct it")
    return [(case_of(sample), row) for sample, row in zip(samples, rows, strict=True)]


def _id(row: Mapping[str, Any]) -> str:
    value = row.get("id", row.get("question_id"))
    return "" if value is None else str(value)


def _said(row: Mapping[str, Any], *, own: bool) -> dict[str, str]:
    """Return the answers of a row by name; `own` where the right answers stand elsewhere."""
    several = row.get("predictions")
    if isinstance(several, dict):
        return {str(name): text for name, text in several.items() if isinstance(text, str)}
    names = _SAID if own else _SAID[:3]
    return next(({GIVEN: row[name]} for name in names if isinstance(row.get(name), str)), {})


def _right(row: Mapping[str, Any]) -> str | None:
    return next((row[name] for name in _RIGHT if isinstance(row.get(name), str)), None)


def _case(row: Mapping[str, Any], path: Path) -> Case:
    question = row.get("question", row.get("prompt"))
    answer = _right(row)
    assert answer is not None, "rows without one are broken"
    return Case(
        _id(row) or str(row["origin"]),
        question if isinstance(question, str) else "",
        answer,
        tuple(_texts(row.get("references"))),
        str(row.get("category") or "all"),
        tuple(path.parent / name for name in _texts(row.get("pictures"))),
        str(row["origin"]),
    )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("["):  # a list in a field of a table
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))

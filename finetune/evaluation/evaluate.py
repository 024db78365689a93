"""Measures a model, with an adapter, without it or both, on rows whose right answers are known.

Answers and marks are kept as they come, under what they were made of: an evaluation that was killed goes on where it
was, and one more metric costs no new answer. It trains nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.data.dataset import Broken
from finetune.data.sample import Sample
from finetune.data.writing import name_in
from finetune.errors import FinetuneError
from finetune.evaluation.answering import Answering, Watch, answers_to
from finetune.evaluation.cases import Case, Predictions, case_of
from finetune.evaluation.journal import Journal
from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics.choice import Choice, named, scores, suitable
from finetune.evaluation.outcome import JudgeReport, Measure, Outcome, build_table
from finetune.evaluation.overlap_with_training import warn_of_trained
from finetune.output_files import whole_files
from model.settings import ModelSettings

MARKS = "marks.jsonl"
RESULTS, PREDICTIONS, REPORT = "results.json", "predictions.jsonl", "report.html"


class NothingToEvaluate(FinetuneError):
    """No row can be measured; `broken` says why of each."""

    def __init__(self, source: str, broken: Sequence[Broken]) -> None:
        self.source, self.broken = source, list(broken)
        first = f", the first of them {broken[0]}" if broken else ""
        super().__init__(
            f"There is no row to evaluate in {source!r} ({len(broken)} are broken{first}); look at it with "
            "`lorgnette data check`."
        )


class NothingSuits(FinetuneError):
    """No metric can be computed of these rows."""

    def __init__(self, degraded: Sequence[str]) -> None:
        super().__init__(
            "No metric suits this data" + (f" ({'; '.join(degraded)})" if degraded else "") + "; name some with "
            "--metrics, or a --judge."
        )


@dataclass(frozen=True)
class Measuring:
    """How answers are measured and where the result goes."""

    out: Path
    """Folder of answers, marks, results and report; made where it is not there."""
    metrics: tuple[str, ...] = ()
    """Names; none = those that suit the data."""
    judge: ModelSettings | None = None
    """A model that marks the answers, here or behind an address."""
    seed: int = 0
    """Of the intervals."""
    worst: int = 12
    """Rows with the lowest scores that the report shows."""


def evaluate(
    samples: Sequence[Sample],
    answering: Answering,
    measuring: Measuring,
    *,
    source: str = "",
    broken: Sequence[Broken] = (),
    watch: Watch | None = None,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """Let the model answer every sample, measure the answers and write the result; blocks for as long as it takes.

    Args:
        samples: Their last messages are the right answers, what stands before is asked.
        answering: Who answers.
        measuring: How it is measured.
        source: Where the samples are from, for messages and the report.
        broken: Rows that could not be read, for the report.
        watch: Told how far it is.
        say: Told at once what is wrong with the rows, such as that the adapter was trained on them.

    Raises:
        NothingToEvaluate, NothingSuits, MetricUnknown, MetricFitsNothing: The data and what is asked of it.
        AdapterError, ModelError: The model, its adapter or the judge; what was answered or marked is kept.
        OutputRefused: The folder.
    """
    if not samples:
        raise NothingToEvaluate(source, broken)
    watch = watch or _unwatched
    choice = _choose(measuring, [case_of(sample) for sample in samples])  # before hours of answering
    learned = None if answering.adapter is None else warn_of_trained(answering.adapter, samples)
    if learned is not None and say is not None:
        say(learned)
    answers = answers_to(samples, answering, measuring.out.expanduser(), watch)
    left = [number for number in range(len(samples)) if number not in answers.refused]
    everything = [*broken, *(answers.refused[number] for number in sorted(answers.refused))]
    if not left:
        raise NothingToEvaluate(source, everything)
    predictions = Predictions(
        [case_of(samples[number]) for number in left],
        {name: [texts[number] for number in left] for name, texts in answers.said.items()},
        everything,
    )
    run = {"data": source, **answering.to_dict()}
    warnings = () if learned is None else (learned,)
    return _measure(predictions, choice, measuring, run, answers.cut_off, watch, warnings)


def evaluate_predictions(
    predictions: Predictions, measuring: Measuring, *, source: str = "", watch: Watch | None = None
) -> Outcome:
    """Measure answers that are there already and write the result.

    Raises:
        NothingToEvaluate, NothingSuits, MetricUnknown, MetricFitsNothing, ModelError, OutputRefused: As `evaluate`.
    """
    if not predictions.cases:
        raise NothingToEvaluate(source, predictions.broken)
    choice = _choose(measuring, predictions.cases)
    return _measure(predictions, choice, measuring, {"predictions": source}, {}, watch or _unwatched)


def _choose(measuring: Measuring, cases: Sequence[Case]) -> Choice:
    rows = [case.answered("") for case in cases]
    choice = named(measuring.metrics, rows) if measuring.metrics else suitable(rows)
    if not choice.metrics and measuring.judge is None:
        raise NothingSuits(choice.degraded)
    return choice


def _measure(
    predictions: Predictions,
    choice: Choice,
    measuring: Measuring,
    run: dict[str, Any],
    cut_off: Mapping[str, int],
    watch: Watch,
    warnings: Sequence[str] = (),
) -> Outcome:
    cases, names = predictions.cases, tuple(predictions.said)
    rows = {
        name: [None if text is None else case.answered(text) for case, text in zip(cases, texts, strict=True)]
        for name, texts in predictions.said.items()
    }
    measures = [Measure(metric.name, metric.title, metric.about, metric.best) for metric in choice.metrics]
    found: dict[str, dict[str, Sequence[float | None]]] = {name: {} for name in names}
    for done, metric in enumerate(choice.metrics, start=1):
        for name in names:
            found[name][metric.name] = scores(metric, rows[name])
        watch("measuring", done, len(choice.metrics))
    report = None
    if measuring.judge is not None:
        report = _judge(measuring, cases, rows, measures, found, watch)
    run |= {"metrics": [measure.name for measure in measures], "judge": report and report.name, "seed": measuring.seed}
    outcome = Outcome(
        run=run,
        names=names,
        measures=tuple(measures),
        cases=cases,
        said=predictions.said,
        scores=found,
        table=build_table(cases, names, measures, found, seed=measuring.seed),
        broken=predictions.broken,
        cut_off=dict(cut_off),
        judge=report,
        degraded=_degraded(choice, predictions, cut_off),
        warnings=warnings,
    )
    write(outcome, measuring.out.expanduser(), worst=measuring.worst)
    return outcome


def _judge(
    measuring: Measuring,
    cases: Sequence[Case],
    rows: Mapping[str, Sequence[Answered | None]],
    measures: list[Measure],
    found: dict[str, dict[str, Sequence[float | None]]],
    watch: Watch,
) -> JudgeReport:
    from finetune.evaluation.judge import ABOUT, NAME, TITLE, mark_all
    from finetune.evaluation.metrics.metric import is_text
    from model.open import open_chat

    assert measuring.judge is not None, "only called where there is one"
    places = [
        (name, number)
        for name, answers in rows.items()
        for number, answer in enumerate(answers)
        if answer is not None and is_text(answer)
    ]
    asked = [(cases[number], row.prediction) for name, number in places if (row := rows[name][number]) is not None]
    chat, identity = open_chat(measuring.judge, lambda phase, share: watch(f"judge: {phase}", round(100 * share), 100))
    try:
        with Journal(measuring.out.expanduser() / MARKS) as journal:
            marks = mark_all(
                chat, measuring.judge.model, asked, journal, progress=lambda done: watch("marking", done, len(asked))
            )
    finally:
        if (close := getattr(chat, "close", None)) is not None:
            close()
    columns: dict[str, list[float | None]] = {name: [None] * len(cases) for name in rows}
    for (name, number), mark in zip(places, marks, strict=True):
        columns[name][number] = mark.percent
    for name, column in columns.items():
        found[name][NAME] = column
    measures.append(Measure(NAME, TITLE, ABOUT, 100.0))
    unreadable = [mark for mark in marks if mark.score is None]
    return JudgeReport(
        identity.name, len(marks) - len(unreadable), len(unreadable), unreadable[0].reason if unreadable else ""
    )


def _degraded(choice: Choice, predictions: Predictions, cut_off: Mapping[str, int]) -> list[str]:
    told = list(choice.degraded)
    for name, texts in predictions.said.items():
        missing = sum(text is None for text in texts)
        if missing:
            told.append(f"{missing} of {len(texts)} rows have no answer by {name}, and are not in its means")
        if cut_off.get(name):
            told.append(f"{cut_off[name]} of {len(texts)} answers by {name} ended at max_new_tokens")
    return told


def write(outcome: Outcome, folder: Path, *, worst: int) -> None:
    """Write results, predictions and report, all or none of them.

    Raises:
        OutputRefused, OSError: The folder, or the disk is full.
    """
    from finetune.evaluation.report import write_report

    with whole_files([folder / RESULTS, folder / PREDICTIONS, folder / REPORT]) as (results, predictions, report):
        results.write_text(json.dumps(outcome.to_dict(), ensure_ascii=False, indent=1) + "\n", "utf-8")
        with predictions.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(
                json.dumps(_row(outcome, number, folder), ensure_ascii=False) + "\n"
                for number in range(len(outcome.cases))
            )
        write_report(report, outcome, worst=worst)


def _row(outcome: Outcome, number: int, folder: Path) -> dict[str, Any]:
    case = outcome.cases[number]
    return {
        "id": case.id,
        "origin": case.origin,
        "category": case.category,
        "question": case.question,
        "answer": case.answer,
        "references": list(case.references),
        "pictures": [name_in(folder, picture) for picture in case.pictures],
        "predictions": {name: outcome.said[name][number] for name in outcome.names},
        "scores": {
            name: {measure.name: outcome.scores[name][measure.name][number] for measure in outcome.measures}
            for name in outcome.names
        },
    }


def _unwatched(what: str, done: int, total: int) -> None:
    pass

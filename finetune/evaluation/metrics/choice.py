"""All metrics by name, and which of them suit a data set. It measures nothing."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from finetune.errors import FinetuneError
from finetune.evaluation.metrics.boxes import box_accuracy, box_iou
from finetune.evaluation.metrics.consensus import cider
from finetune.evaluation.metrics.metric import Answered, Metric, is_text
from finetune.evaluation.metrics.overlap import bleu_4, rouge_1, rouge_2, rouge_l
from finetune.evaluation.metrics.short_answers import ENOUGH, anls, exact, vqa
from model.hub import MissingExtra

EXTRA = "finetune"
SOME = 0.1
"""Share of the rows that must be short, or long, for the metrics of such answers to be taken."""


def _names_boxes(row: Answered) -> bool:
    return row.names_boxes


def _many_said(row: Answered) -> bool:
    return is_text(row) and len(row.answers) >= ENOUGH


METRICS = {
    metric.name: metric
    for metric in (
        Metric("box-iou", "Box IoU", "Mean overlap of the boxes with those of the right answer.",
               _names_boxes, box_iou, packages=("scipy",)),
        Metric("box-acc", "Boxes found", "Share of boxes that overlap theirs by half or more.",
               _names_boxes, box_accuracy, packages=("scipy",)),
        Metric("exact", "Exact", "Share of answers that are one of the right ones, but for case and end mark.",
               is_text, exact),
        Metric("vqa", "VQA accuracy", "Soft accuracy against the answers of at least four people.",
               _many_said, vqa),
        Metric("anls", "ANLS", "Likeness of letters to the nearest right answer, 0 below one half.",
               is_text, anls, packages=("anls_star",)),
        Metric("bleu-4", "BLEU-4", "Sequences of characters shared with the first right answer, as LLaMA-Factory.",
               is_text, bleu_4, packages=("nltk",)),
        Metric("rouge-1", "ROUGE-1", "Words shared with the first right answer, as LLaMA-Factory.",
               is_text, rouge_1, packages=("jieba", "rouge_chinese")),
        Metric("rouge-2", "ROUGE-2", "Pairs of words shared with it.",
               is_text, rouge_2, packages=("jieba", "rouge_chinese")),
        Metric("rouge-l", "ROUGE-L", "Longest sequence of words shared with it.",
               is_text, rouge_l, packages=("jieba", "rouge_chinese")),
        Metric("cider", "CIDEr", "Rare words shared with all right answers (CIDEr-D).",
               is_text, cider, best=1000.0, packages=("jieba",)),
    )
}  # fmt: skip


class MetricUnknown(FinetuneError):
    """There is no metric of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        near = difflib.get_close_matches(name, METRICS, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "choose from " + ", ".join(METRICS) + "."
        super().__init__(f"There is no metric {name!r}; {advice}")


class MetricFitsNothing(FinetuneError):
    """A metric was asked for that no row of the data can be measured by."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"The metric {name!r} fits no row of this data ({METRICS[name].about}); leave it out of --metrics."
        )


@dataclass(frozen=True)
class Choice:
    """What the rows are measured by, the most telling one first."""

    metrics: tuple[Metric, ...]
    degraded: tuple[str, ...] = ()
    """What would have suited but cannot be computed here, in words for the user."""


def named(names: Sequence[str], rows: Sequence[Answered]) -> Choice:
    """Return the metrics of these names.

    Raises:
        MetricUnknown, MetricFitsNothing: A name.
        MissingExtra: A package is missing.
    """
    check_names(names)
    for metric in map(METRICS.__getitem__, names):
        if not any(metric.fits(row) for row in rows):
            raise MetricFitsNothing(metric.name)
    return Choice(tuple(METRICS[name] for name in dict.fromkeys(names)))


def check_names(names: Sequence[str]) -> None:
    """Refuse, before any work is done, what `named` would.

    Raises:
        MetricUnknown, MissingExtra: As they say.
    """
    for name in names:
        if name not in METRICS:
            raise MetricUnknown(name)
        if (package := _missing(METRICS[name])) is not None:
            raise MissingExtra(package, EXTRA)


def suitable(rows: Sequence[Answered]) -> Choice:
    """Return the metrics that suit the rows.

    Boxes are measured as boxes. Of the other rows: where some have short answers, whether they are right (VQA accuracy
    where at least four people answered each); where some have long ones, how much of the wording is there (CIDEr where
    each has several right answers).
    """
    names = ["box-iou", "box-acc"] if any(row.names_boxes for row in rows) else []
    texts = [row for row in rows if is_text(row)]
    short = [row for row in texts if row.is_short]
    long = [row for row in texts if not row.is_short]
    if short and len(short) >= SOME * len(texts):
        names += ["vqa"] if all(map(_many_said, short)) else []
        names += ["exact", "anls"]
    if long and len(long) >= SOME * len(texts):
        names += ["cider"] if all(row.references for row in long) else []
        names += ["rouge-l", "rouge-1", "rouge-2", "bleu-4"]
    metrics, degraded = [], []
    for metric in map(METRICS.__getitem__, names):
        package = _missing(metric)
        if package is None:
            metrics.append(metric)
        else:
            degraded.append(f"{metric.title} is left out: {MissingExtra(package, EXTRA)}")
    return Choice(tuple(metrics), tuple(degraded))


def scores(metric: Metric, rows: Sequence[Answered | None]) -> list[float | None]:
    """Return the score of each row, none where there is no answer or the metric does not fit."""
    fitting = [row for row in rows if row is not None and metric.fits(row)]
    found = iter(metric.score(fitting))
    return [next(found) if row is not None and metric.fits(row) else None for row in rows]


def _missing(metric: Metric) -> str | None:
    return next((package for package in metric.packages if find_spec(package) is None), None)

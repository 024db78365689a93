"""The metrics that suit a data set are chosen by its right answers."""

from pathlib import Path

import pytest

from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics import choice as choosing
from finetune.evaluation.metrics.choice import METRICS, MetricFitsNothing, MetricUnknown, named, scores, suitable
from model.hub import MissingExtra

LONG = "a red disc lies on a sheet of white paper"
BOX = '{"bbox_2d": [0, 0, 10, 10]}'


def names(*rows: Answered) -> list[str]:
    return [metric.name for metric in suitable(rows).metrics]


def test_short_answers_are_right_or_wrong() -> None:
    assert names(Answered("", "red"), Answered("", "没有")) == ["exact", "anls"]


def test_answers_of_four_people_are_measured_as_in_vqa() -> None:
    assert names(Answered("", "red", ("red", "pink", "red"))) == ["vqa", "exact", "anls"]


def test_long_answers_are_measured_by_their_wording() -> None:
    wording = ["rouge-l", "rouge-1", "rouge-2", "bleu-4"]
    assert names(Answered("", LONG)) == wording
    assert names(Answered("", LONG, ("a disc",))) == ["cider", *wording]


def test_boxes_are_measured_as_boxes_and_by_nothing_else() -> None:
    rows = [Answered(BOX, BOX), Answered("red", "red")]
    assert names(*rows) == ["box-iou", "box-acc", "exact", "anls"]
    assert scores(METRICS["exact"], rows) == [None, 100.0]
    assert scores(METRICS["box-iou"], rows) == [100.0, None]


def test_a_row_without_an_answer_has_no_score() -> None:
    assert scores(METRICS["exact"], [None, Answered("a", "a")]) == [None, 100.0]


def test_a_name_that_is_no_metric_suggests_the_nearest() -> None:
    with pytest.raises(MetricUnknown, match="did you mean 'rouge-l'"):
        named(["rouge-ll"], [Answered("", "a")])


def test_a_metric_that_fits_no_row_is_refused() -> None:
    with pytest.raises(MetricFitsNothing, match="box-iou"):
        named(["box-iou"], [Answered("", "a")])


def test_a_missing_package_leaves_its_metric_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: None if name == "anls_star" else object())
    found = suitable([Answered("", "a")])
    assert [metric.name for metric in found.metrics] == ["exact"]
    assert "lorgnette[finetune]" in found.degraded[0]
    with pytest.raises(MissingExtra):
        named(["anls"], [Answered("", "a")])


def test_the_documentation_tells_of_every_metric() -> None:
    page = (Path(__file__).parents[4] / "docs" / "evaluation.md").read_text("utf-8")
    assert [name for name in METRICS if f"`{name}`" not in page] == []

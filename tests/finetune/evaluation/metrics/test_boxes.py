"""Boxes are put together with their own right ones, and none is forgotten on either side."""

import json

import pytest

from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics.boxes import box_accuracy, box_iou


def named(*boxes: tuple[str, list[int]]) -> str:
    return json.dumps([{"bbox_2d": corners, "label": label} for label, corners in boxes])


CAT, DOG = ("cat", [0, 0, 100, 100]), ("dog", [500, 500, 600, 600])
HALF = ("cat", [0, 0, 100, 50])


def score(said: str, right: str) -> tuple[float, float]:
    row = [Answered(said, right)]
    return box_iou(row)[0], box_accuracy(row)[0]


def test_the_order_of_boxes_does_not_matter() -> None:
    assert score(named(DOG, CAT), named(CAT, DOG)) == (100, 100)


def test_half_a_box_is_found_and_overlaps_by_half() -> None:
    assert score(named(HALF), named(CAT)) == (50, 100)


def test_a_box_too_few_or_too_many_counts_nothing() -> None:
    assert score(named(CAT), named(CAT, DOG)) == (50, 50)
    assert score(named(CAT, DOG), named(CAT)) == (50, 50)


def test_a_box_of_another_label_is_not_the_one_unless_there_is_a_single_one() -> None:
    wrong = ("dog", CAT[1]), ("cat", DOG[1])
    assert score(named(*wrong), named(CAT, DOG)) == (0, 0)
    assert score(named(wrong[0]), named(CAT)) == (100, 100)


def test_an_answer_without_boxes_finds_none() -> None:
    assert score("I see no cat.", named(CAT, DOG)) == (0, 0)


def test_boxes_go_together_so_that_the_sum_is_greatest() -> None:
    # the first answered box overlaps both; taken greedily it would cost the second one its own
    right = named(("", [0, 0, 100, 100]), ("", [50, 0, 150, 100]))
    said = named(("", [40, 0, 140, 100]), ("", [60, 0, 160, 100]))
    # 40..140 with 0..100: 60 of 140; 60..160 with 50..150: 90 of 110
    assert score(said, right)[0] == pytest.approx(100 * (60 / 140 + 90 / 110) / 2)

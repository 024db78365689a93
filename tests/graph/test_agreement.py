"""What code can tell of two answers: contradictions, and answers that say nothing."""

import pytest

from graph.judging.agreement import contradiction, same_answer, says_nothing

BOX = '[{"bbox_2d": [100, 100, 500, 500], "label": "cup"}]'


@pytest.mark.parametrize(
    ("draft", "seen", "what"),
    [
        ("5", "4", "number"),
        ("There are five objects.", "4", "number"),
        ("图中有三个圆。", "两个", "number"),
        ("The total is 1,200.50 euros.", "1200.40", "number"),
        ("Yes, the lamp is on.", "no", "yes or no"),
        ("不是", "是", "yes or no"),
        ("没有", "有一只猫", "yes or no"),
        ("red", "blue", "colour"),
        ("The ball is grey.", "It is a red ball.", "colour"),
        ("红色", "蓝色", "colour"),
        ("triangle", "circle", "words"),
        (BOX, '[{"bbox_2d": [600, 600, 900, 900], "label": "cup"}]', "place"),
    ],
)
def test_a_contradiction_is_named(draft: str, seen: str, what: str) -> None:
    assert contradiction(draft, seen) == what
    assert contradiction(seen, draft) == what


@pytest.mark.parametrize(
    ("draft", "seen"),
    [
        ("5", "five objects"),
        ("There are 5 objects: 2 circles and 3 squares.", "5"),
        ("Yes.", "Yes, there is a red circle."),
        ("A gray cat", "a cat of grey colour"),
        ("triangle", "a green triangle"),
        ("图中有三个圆。", "3"),
        (BOX, '[{"bbox_2d": [110, 100, 500, 510], "label": "cup"}]'),
        ("5", ""),
        (BOX, "There is a cup on the left."),
        ("The picture shows a street with many people who walk to the market.", "a crowd"),
    ],
)
def test_answers_that_can_both_be_true_do_not_contradict(draft: str, seen: str) -> None:
    assert contradiction(draft, seen) is None


@pytest.mark.parametrize(
    "draft", ["", "  ", "[]", "```json\n[]\n```", "{}", "I'm sorry, I can't see it.", "抱歉,我无法回答。"]
)
def test_nothing_is_said_by(draft: str) -> None:
    assert says_nothing(draft)


@pytest.mark.parametrize("draft", ["0", "No.", "false", "no objects", "The sign says sorry."])
def test_something_is_said_by(draft: str) -> None:
    assert not says_nothing(draft)


def test_answers_are_the_same_but_for_case_blanks_and_a_full_stop() -> None:
    assert same_answer("A red circle.", "a  red circle")
    assert not same_answer("A red circle.", "A red square.")

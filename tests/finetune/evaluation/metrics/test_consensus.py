"""CIDEr against the numbers of COCO's own evaluation code, and what can be seen without any."""

import pytest

from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics.consensus import cider, words


def test_the_numbers_are_those_of_the_evaluation_server() -> None:
    rows = [
        Answered(
            "a red circle above a blue square",
            "a red circle is above a blue square",
            ("red circle over blue square", "a circle and a square"),
        ),
        Answered("two green stars", "there are two green stars", ("two stars",)),
        Answered("the the the cat", "a cat sits on the mat", ("the cat",)),
        Answered("", "nothing here at all", ("empty picture",)),
    ]
    # of pycocoevalcap 1.2 (cider_scorer.py) for the same words, times 100
    assert cider(rows) == pytest.approx([340.9094283, 344.12701275, 138.40018632, 0.0], abs=1e-6)


def test_a_right_caption_has_all_and_a_wrong_one_nothing() -> None:
    rows = [Answered("a red disc on paper", "A red disc, on paper."), Answered("one two three", "four five six seven")]
    assert cider(rows) == pytest.approx([1000.0, 0.0])


def test_words_that_every_picture_has_are_worth_nothing() -> None:
    assert cider([Answered("a disc", "a disc"), Answered("a disc", "a disc")]) == [0.0, 0.0]


def test_another_length_costs_what_the_paper_says() -> None:
    # all sequences of the answer are right; two words are missing of "a b c d e f"
    short, whole = cider([Answered("a b c d", "a b c d e f"), Answered("v w x y z", "v w x y z")])
    # as many shared as the answer has of each length: cosine sqrt(4/6), sqrt(3/5), sqrt(2/4), sqrt(1/3)
    cosines = sum(value**0.5 for value in (4 / 6, 3 / 5, 2 / 4, 1 / 3)) / 4
    assert short == pytest.approx(1000 * cosines * 2.718281828459045 ** (-(2**2) / 72))
    assert whole == pytest.approx(1000)


def test_marks_and_case_do_not_count_and_chinese_is_cut_into_words() -> None:
    assert words("A man's hat - red!") == ["a", "man's", "hat", "red"]
    assert words("图中有红色的圆形。") == ["图中", "有", "红色", "的", "圆形"]

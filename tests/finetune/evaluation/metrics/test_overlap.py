"""BLEU-4 and ROUGE are LLaMA-Factory's: numbers worked out by hand from its definition."""

import sys

import pytest

from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics.overlap import bleu_4, rouge_1, rouge_2, rouge_l

CHINESE = Answered("图中有三个红色的圆形。", "图中有两个红色的圆形。")


def test_bleu_counts_characters() -> None:
    # abcd against abce: 3 of 4, 2 of 3, 1 of 2; none of 1, which the third smoothing makes 1/2
    expected = 100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25
    assert bleu_4([Answered("abcd", "abce")]) == [pytest.approx(expected, abs=1e-4)]
    assert bleu_4([Answered("abcd", "abcd")]) == [100.0]


def test_bleu_of_a_single_character_that_is_right_is_what_smoothing_leaves() -> None:
    # one of one; the three longer sequences are 1/2, 1/4 and 1/8
    assert bleu_4([Answered("x", "x")]) == [pytest.approx(100 * (1 / 64) ** 0.25, abs=1e-4)]


def test_bleu_punishes_a_short_answer() -> None:
    # all sequences of "abcd" are right; exp(1 - 8/4) for half the length
    assert bleu_4([Answered("abcd", "abcdefgh")]) == [pytest.approx(36.7879, abs=1e-4)]


def test_rouge_counts_chinese_words_and_not_characters() -> None:
    # 图中 有 三个 红色 的 圆形 。 against 图中 有 两个 红色 的 圆形 。: 6 of 7 words, 4 of 6 pairs
    assert rouge_1([CHINESE]) == [pytest.approx(100 * 6 / 7, abs=1e-4)]
    assert rouge_2([CHINESE]) == [pytest.approx(100 * 4 / 6, abs=1e-4)]
    assert rouge_l([CHINESE]) == [pytest.approx(100 * 6 / 7, abs=1e-4)]


def test_rouge_is_the_f_measure() -> None:
    # one of two words said, one of four words asked for: 2 * (1/2 * 1/4) / (1/2 + 1/4)
    assert rouge_1([Answered("red star", "a red round disc")]) == [pytest.approx(100 / 3, abs=1e-4)]


def test_only_the_first_right_answer_counts() -> None:
    rows = [Answered("abcd", "wxyz", ("abcd",))]
    assert rouge_1(rows) == rouge_l(rows) == [0.0]


def test_an_empty_answer_scores_nothing() -> None:
    rows = [Answered("", "a disc"), Answered("  ", "a disc")]
    assert rouge_1(rows) == rouge_2(rows) == rouge_l(rows) == [0.0, 0.0]
    assert bleu_4(rows)[0] == 0.0


def test_a_long_answer_does_not_exhaust_the_stack() -> None:
    words = " ".join(f"w{number}" for number in range(sys.getrecursionlimit()))
    assert rouge_l([Answered(words, words)]) == [100.0]

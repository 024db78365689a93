"""The four drawn worlds that adapters are compared on: every answer is right by the picture's own making."""

from random import Random

import numpy as np
import pytest

from finetune.data.drawn.domains import BAR_COLORS, DOMAINS, LETTERS, draw, draw_mixture
from finetune.data.drawn.scenes import COLORS
from finetune.data.drawn.wording import SHAPES as CHINESE_SHAPES


def test_the_seed_decides_pictures_and_questions() -> None:
    first, second = (draw_mixture(3, seed=7) for _ in range(2))
    assert [d.exchanges for d in first] == [d.exchanges for d in second]
    assert all(a.picture == b.picture for a, b in zip(first, second, strict=True))
    assert sorted(d.domain for d in first) == sorted(list(DOMAINS) * 3)


@pytest.mark.parametrize("seed", range(20))
def test_the_tallest_bar_is_the_one_that_reaches_highest(seed: int) -> None:
    drawn = next(d for d in (draw("bars", Random(f"{seed}/{i}")) for i in range(50)) if "tallest" in str(d.exchanges))
    said = dict(drawn.exchanges)["Which bar is the tallest?"]
    pixels = np.asarray(drawn.picture)
    tops = {
        color: int(rows.min())
        for color in BAR_COLORS
        if (rows := np.flatnonzero((pixels[:, 12:] == COLORS[color]).all(-1).any(1))).size
    }
    assert said == min(tops, key=tops.__getitem__)


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_question_is_asked_twice_about_a_picture_and_every_one_is_answered(domain: str) -> None:
    for seed in range(30):
        exchanges = draw(domain, Random(seed)).exchanges
        assert len(exchanges) == len(dict(exchanges)) >= 2
        assert all(answer for _, answer in exchanges)


def test_chinese_questions_are_answered_in_chinese_or_in_digits() -> None:
    answers = {answer for seed in range(40) for _, answer in draw("chinese", Random(seed)).exchanges}
    assert answers & set(CHINESE_SHAPES.values())
    assert all(not answer.isascii() or answer.isdigit() for answer in answers)


def test_letters_are_those_of_the_small_alphabet() -> None:
    for seed in range(40):
        for question, answer in draw("letters", Random(seed)).exchanges:
            if question == "Which letters are printed?":
                assert set(answer.split()) <= set(LETTERS)

"""The four drawn worlds that adapters are compared on: every answer is right by the picture's own making."""

from random import Random

import numpy as np
import pytest

from finetune.data.drawn.domains import (
    BAR_COLORS,
    DOMAINS,
    GERMAN_COLORS,
    GERMAN_SHAPES,
    NEW_COLORS,
    NEW_SHAPES,
    draw,
    draw_mixture,
)
from finetune.data.drawn.scenes import COLORS, SHAPES


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


def test_german_questions_are_answered_in_german_or_in_digits() -> None:
    exchanges = [exchange for seed in range(60) for exchange in draw("german", Random(seed)).exchanges]
    german = {noun for _, noun in GERMAN_SHAPES.values()} | set(GERMAN_COLORS.values()) | {"ja", "nein"}
    assert all(answer in german or answer.isdigit() for _, answer in exchanges)
    assert set(GERMAN_SHAPES) == set(SHAPES) and set(GERMAN_COLORS) == set(COLORS)
    assert any("das rote Ding" in question for question, _ in exchanges)


def test_digits_add_up() -> None:
    for seed in range(60):
        said = dict(draw("digits", Random(seed)).exchanges)
        if {"Which digits are printed?", "What is the sum of the digits?"} <= set(said):
            printed = said["Which digits are printed?"].split()
            assert said["What is the sum of the digits?"] == str(sum(map(int, printed)))


def test_what_is_called_new_is_not_of_the_checkpoints_world() -> None:
    assert not set(NEW_SHAPES) & set(SHAPES) and not set(NEW_COLORS) & set(COLORS)

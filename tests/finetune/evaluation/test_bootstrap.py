"""Intervals are drawn over pictures, by a fixed seed, and missing where there is nothing to draw from."""

import numpy as np
import pytest

from finetune.evaluation.bootstrap import FEWEST, estimate


def test_equal_values_leave_no_doubt() -> None:
    found = estimate([3.0] * 8, range(8))
    assert found is not None
    assert (found.mean, found.low, found.high, found.number) == (3.0, 3.0, 3.0, 8)


def test_the_interval_is_that_of_the_binomial() -> None:
    found = estimate([0.0] * 50 + [100.0] * 50, range(100), seed=1)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    # 50 +- 1.96 * 5
    assert found.low == pytest.approx(40.2, abs=1.5)
    assert found.high == pytest.approx(59.8, abs=1.5)


def test_rows_about_one_picture_are_one_draw() -> None:
    values = np.random.default_rng(0).normal(size=20)
    alone = estimate(list(values), range(20), seed=3)
    repeated = estimate([v for v in values for _ in range(5)], [n for n in range(20) for _ in range(5)], seed=3)
    assert alone is not None
    assert repeated is not None
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = [float(n % 7) for n in range(30)]
    assert estimate(values, range(30), seed=5) == estimate(values, range(30), seed=5)
    assert estimate(values, range(30), seed=5) != estimate(values, range(30), seed=6)


def test_too_few_pictures_give_a_mean_and_no_interval() -> None:
    found = estimate([1.0, 2.0] * (FEWEST - 1), [n // 2 for n in range(2 * (FEWEST - 1))])
    assert found is not None
    assert (found.mean, found.low, found.high) == (1.5, None, None)
    assert not found.shifts()
    assert estimate([], []) is None

"""How sure a mean is: intervals by drawing the pictures again and again. It knows neither metrics nor models."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
FEWEST = 5
"""Groups from which an interval is given; fewer draws than that tell nothing of their spread."""
_AT_ONCE = 4_000_000  # numbers drawn at a time, 32 MB


@dataclass(frozen=True)
class Estimate:
    """A mean and where it would lie for other pictures of the same kind."""

    mean: float
    low: float | None
    """Lower end of the interval; none where there are too few pictures for one."""
    high: float | None
    number: int
    """Of rows."""

    def shifts(self) -> bool:
        """Return whether 0 is outside of the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def estimate(
    values: Sequence[float], groups: Sequence[Hashable], *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate | None:
    """Return mean and 95 % interval of the values; none where there are none.

    The percentile bootstrap (B. Efron, "Bootstrap methods: another look at the jackknife", 1979) over groups instead of
    rows (C. Field and A. Welsh, "Bootstrapping clustered data", 2007): what is asked about one picture is not asked
    independently, and an interval over rows would be too narrow.

    Args:
        values: One a row.
        groups: The picture of each row, or whatever holds rows together.
        seed: The same seed draws the same.
        resamples: How often.
    """
    if not values:
        return None
    numbers: dict[Hashable, int] = {}
    places = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    sums = np.bincount(places, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)
    sizes = np.bincount(places).astype(np.float64)
    mean = float(sums.sum() / sizes.sum())
    if len(sums) < FEWEST:
        return Estimate(mean, None, None, len(values))
    rng = np.random.default_rng(seed)
    chunk = max(1, _AT_ONCE // len(sums))
    means = np.concatenate(
        [
            sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
            for begin in range(0, resamples, chunk)
            for drawn in (rng.integers(len(sums), size=(min(chunk, resamples - begin), len(sums))),)
        ]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), len(values))

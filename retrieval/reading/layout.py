"""The order in which runs of words on a page are read: rows, or columns where the page is set in columns of prose.

It knows boxes and words, neither pictures nor PDF; y grows downwards.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Fewer rows beside each other are a heading or a form; fewer words on a side are a table.
_MIN_ROWS = 3
_MIN_WORDS = 2.6
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]{2}")
# A paragraph's lines are about as long as each other; the cells of a table are not.
_MIN_FILL = 0.6


@dataclass(frozen=True)
class Run:
    """Words that stand together on one line."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    order: int = 0
    """Place in which the page's author drew it."""


def rows_of(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs whose middles lie within half a line's height of the row's first, from top to bottom."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: (run.top + run.bottom, run.left)):
        if rows and _is_beside(rows[-1][0], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [sorted(row, key=lambda run: run.left) for row in rows]


def in_reading_order(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the rows; those that stand in columns of prose come column by column."""
    rows = rows_of(runs)
    found = _find_columns(rows)
    if found is None:
        return rows
    first, last, x = found
    block = [run for row in rows[first:last] for run in row]
    left = [run for run in block if (run.left + run.right) / 2 < x]
    right = [run for run in block if (run.left + run.right) / 2 >= x]
    below = [run for row in rows[last:] for run in row]
    return [*rows[:first], *in_reading_order(left), *in_reading_order(right), *in_reading_order(below)]


def _find_columns(rows: list[list[Run]]) -> tuple[int, int, float] | None:
    """Return the first and last row (exclusive) of the longest block in two columns, and where the gutter is."""
    best: tuple[int, int, float] | None = None
    gutters = {round((a.right + b.left) / 2) for row in rows for a, b in pairwise(row)}
    for x in gutters if len(gutters) < 200 else ():
        start = 0
        for end in range(len(rows) + 1):
            if end < len(rows) and not any(run.left < x < run.right for run in rows[end]):
                continue
            block = _trimmed(rows, start, end, x)
            if block and (best is None or block[1] - block[0] > best[1] - best[0]):
                best = (*block, float(x))
            start = end + 1
    return best


def _trimmed(rows: list[list[Run]], start: int, end: int, x: float) -> tuple[int, int] | None:
    """Cut rows that stand on one side only from both ends, and return what is left if it is prose."""
    both = [n for n in range(start, end) if rows[n][0].right <= x <= rows[n][-1].left]
    if len(both) < _MIN_ROWS:
        return None
    first, last = both[0], both[-1] + 1
    if len(both) < 0.6 * (last - first):
        return None
    block = rows[first:last]
    sides = ([run for row in block for run in row if run.right <= x], [r for row in block for r in row if r.left >= x])
    return (first, last) if all(_is_prose(side) for side in sides) else None


def _is_prose(runs: list[Run]) -> bool:
    lines = rows_of(runs)
    words = sum(_count(run.text) for run in runs) / len(lines)
    width = max(run.right for run in runs) - min(run.left for run in runs)
    full = sum(sum(run.right - run.left for run in line) for line in lines) / len(lines)
    return words >= _MIN_WORDS and full >= _MIN_FILL * width


def _count(text: str) -> int:
    return len(text.split()) + len(_CJK.findall(text))


def _is_beside(first: Run, run: Run) -> bool:
    height = min(first.bottom - first.top, run.bottom - run.top)
    return abs(run.top + run.bottom - first.top - first.bottom) <= height

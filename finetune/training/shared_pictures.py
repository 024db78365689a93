"""Rows about the same picture become one row that begins with the picture once and branches into what follows it.

What a branch's tokens see is what they see in a row of their own, so that every loss and gradient stays the same; which
rows meet in a batch does not. It holds no tensors and knows no mask: `finetune.training.collate` makes that.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from finetune.training.encoding import IGNORE_INDEX, Row


def share_pictures(rows: Sequence[Row], limit: int) -> list[Row]:
    """Return the rows with those joined that begin with the same pictures, in the order of their first ones.

    Args:
        rows: With their positions.
        limit: Most tokens of a joined row; where more rows share a picture, it stands in several.
    """
    groups: dict[Hashable, list[Row]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(_pictures(row) or number, []).append(row)
    joined: list[Row] = []
    for group in groups.values():
        joined += _joined(group, limit)
    return joined


def _pictures(row: Row) -> Hashable:
    """Return what rows must have in common: the files, and how they were seen."""
    if not row.vision:
        return None
    return row.sample.pictures, tuple((seen.kind, seen.grid_thw, seen.key) for seen in row.vision)


def _joined(group: list[Row], limit: int) -> list[Row]:
    done: list[Row] = []
    while group:
        first, *rest = group
        taken, left = [first], []
        shared, length = _open_until(first), len(first)
        for row in rest:
            common = min(shared, _open_until(row), _same(first, row))
            # the tokens that a shorter beginning costs, and those of the new branch
            longer = length + (shared - common) * (len(taken) - 1) + len(row) - common
            if common > _last_picture(first) and longer <= limit:
                taken.append(row)
                shared, length = common, longer
            else:
                left.append(row)
        done.append(_branched(taken, shared) if len(taken) > 1 else first)
        group = left
    return done


def _branched(rows: list[Row], shared: int) -> Row:
    """Return the first row with the others' tokens from `shared` on behind it."""
    first = rows[0]
    assert all(row.position_ids is not None for row in rows), "positions are made before the first batch"
    starts = [0, *[shared] * (len(rows) - 1)]
    parts = list(zip(rows, starts, strict=True))
    branches = [np.full(len(row) - shared, number, dtype=np.int32) for number, row in enumerate(rows, start=1)]
    return replace(
        first,
        input_ids=np.concatenate([row.input_ids[start:] for row, start in parts]),
        labels=np.concatenate([row.labels[start:] for row, start in parts]),
        mm_token_type_ids=np.concatenate([row.mm_token_type_ids[start:] for row, start in parts]),
        position_ids=np.concatenate([row.position_ids[:, start:] for row, start in parts], axis=1),  # type: ignore[index]
        branches=np.concatenate([np.zeros(shared, dtype=np.int32), *branches]),
    )  # fmt: skip


def _open_until(row: Row) -> int:
    """Return how much of a row may be shared: the token before the first learned one predicts it, and is its own."""
    return max(0, int(np.flatnonzero(row.labels != IGNORE_INDEX)[0]) - 1)


def _same(row: Row, other: Row) -> int:
    """Return the length of the common beginning."""
    shortest = min(len(row), len(other))
    differ = np.flatnonzero(row.input_ids[:shortest] != other.input_ids[:shortest])
    return int(differ[0]) if len(differ) else shortest


def _last_picture(row: Row) -> int:
    """Return the place of the last token of a picture."""
    return int(np.flatnonzero(row.mm_token_type_ids)[-1])

"""How far two words are from each other."""

import pytest

from retrieval.search.respell import edits


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("lamp", "lamp", 0),
        ("lamp", "lapm", 1),
        ("lamp", "lam", 1),
        ("lamp", "clamp", 1),
        ("lamp", "limb", 2),
        ("", "ab", 2),
    ],
)
def test_an_edit_adds_drops_changes_or_swaps_a_letter(one: str, other: str, count: int) -> None:
    assert edits(one, other) == edits(other, one) == count

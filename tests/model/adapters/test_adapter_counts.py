"""The two figures that the README names, counted."""

import pytest

from benchmarks.adapter_counts import count

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("adapter", "expected"), [("LoRA r=8, attention", 5_898_240), ("MoE-LoRA 2 experts r=8", 12_644_352)]
)
def test_an_adapter_of_the_4b_shape_trains_what_is_said_of_it(adapter: str, expected: int) -> None:
    assert count(adapter, "4B") == expected

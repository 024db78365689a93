"""The comparison with other trainers compares the same thing: on the same rows all of them have the same losses."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.training_speed import Setting, measure

pytestmark = pytest.mark.training


@pytest.mark.slow
@pytest.mark.parametrize("questions", [1, 2])
def test_every_trainer_has_the_same_losses(tmp_path: Path, questions: int) -> None:
    options = Namespace(
        rows=4, epochs=1, tuners=["LoRA"], trainers=["ours", "TRL", "transformers"], learning_rate=1e-3,
        checkpointing=False,
    )  # fmt: skip
    courses = measure(Setting("tiny", "float32", questions, 2), tmp_path, options)
    ours = courses["LoRA", "ours"]
    assert len(ours.losses) == len(ours.steps_s) == 2 and ours.peak_mib > 100 and ours.once_s > 0
    assert ours.losses[0] != ours.losses[1]
    for trainer in ("TRL", "transformers"):
        assert np.allclose(ours.losses, courses["LoRA", trainer].losses, atol=1e-4)

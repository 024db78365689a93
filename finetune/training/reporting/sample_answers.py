"""What base and adapter answer to a few samples, for the report. It measures nothing: that is the evaluation's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from finetune.adapters.workarounds import drop_stale_hooks
from finetune.config.schema import FinetuneConfig
from finetune.data.sample import Sample
from finetune.evaluation.answering import BATCH_TOKENS
from finetune.evaluation.batch_generation import Said, answer_all
from finetune.evaluation.cases import case_of

if TYPE_CHECKING:
    from model.qwen3_vl.load import Loaded


@dataclass(frozen=True)
class Shown:
    """One sample and its answers."""

    pictures: tuple[Path, ...]
    question: str
    expected: str
    base: str
    adapter: str


def answer_samples(loaded: "Loaded", model: Any, samples: Sequence[Sample], config: FinetuneConfig) -> list[Shown]:
    """Return greedy answers to the last question of each sample, without the adapter and with it.

    Args:
        loaded: The base, its processor and their dtype.
        model: The trained model around it.
        samples: Those that cannot be asked are left out.
        config: Of the run.

    Raises:
        OutOfMemory: A single question does not fit.
    """
    said: dict[tuple[int, bool], str] = {}
    model.get_base_model().activation_checkpointing_disable()
    drop_stale_hooks(model)

    def keep(answers: Sequence[tuple[int, bool, Said]]) -> None:
        said.update({(number, adapted): answer.text for number, adapted, answer in answers})

    # trained weights are float32 beside a base of half that
    with torch.autocast(loaded.device.type, loaded.dtype, enabled=loaded.dtype != torch.float32):
        answer_all(
            replace(loaded, model=model.eval()),
            samples,
            [(number, adapted) for number in range(len(samples)) for adapted in (True, False)],
            max_new_tokens=config.report.report_max_new_tokens,
            max_pixels=config.data.image_max_pixels,
            batch_tokens=BATCH_TOKENS,
            keep=keep,
        )
    return [
        Shown(sample.pictures, case_of(sample).question, sample.answer, said[number, False], said[number, True])
        for number, sample in enumerate(samples)
        if (number, True) in said
    ]

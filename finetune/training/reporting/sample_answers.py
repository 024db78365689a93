"""What base and trained model answer to a few samples: for the report, and on the way there.

It measures nothing: that is the evaluation's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from finetune.adapters.workarounds import drop_stale_hooks
from finetune.config.schema import FinetuneConfig
from finetune.data.configured import frame_budget
from finetune.data.sample import Sample
from finetune.evaluation.answering import BATCH_TOKENS
from finetune.evaluation.batch_generation import Said, answer_all
from finetune.evaluation.cases import case_of
from model.qwen3_vl.load import base_model

if TYPE_CHECKING:
    from model.qwen3_vl.load import Loaded

Answers = dict[int, str]
"""An answer by the sample's number; none for one that cannot be asked."""
ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Shown:
    """One sample and its answers."""

    pictures: tuple[Path, ...]
    question: str
    expected: str
    base: str
    adapter: str
    meanwhile: Mapping[int, str]
    """By the step after which it was asked."""


def answer_samples(
    loaded: "Loaded", model: Any, samples: Sequence[Sample], config: FinetuneConfig, *, adapted: bool
) -> Answers:
    """Return greedy answers to the last question of each sample.

    Args:
        loaded: The base, its processor and their dtype.
        model: The trained model around it; it is left in the mode, training or not, in which it was.
        samples: Those that cannot be asked are left out.
        config: Of the run.
        adapted: With the adapter, or without it.

    Raises:
        OutOfMemory: A single question does not fit.
    """
    said: Answers = {}
    drop_stale_hooks(model)

    def keep(answers: Sequence[tuple[int, bool, Said]]) -> None:
        said.update({number: answer.text for number, _, answer in answers})

    learning = model.training
    # trained weights are float32 beside a base of half that
    with torch.autocast(loaded.device.type, loaded.dtype, enabled=loaded.dtype != torch.float32):
        answer_all(
            replace(loaded, model=model.eval()),
            samples,
            [(number, adapted) for number in range(len(samples))],
            max_new_tokens=config.report.report_max_new_tokens,
            max_pixels=config.data.image_max_pixels,
            frames=frame_budget(config),
            batch_tokens=BATCH_TOKENS,
            keep=keep,
        )
    base_model(model).model.rope_deltas = None
    drop_stale_hooks(model)
    model.train(learning)
    return said


def keep_answers(folder: Path, step: int, samples: Sequence[Sample], answers: Answers) -> None:
    """Add a step's answers to the run's file of them, a line each."""
    with (folder / ANSWERS).open("a", encoding="utf-8") as file:
        for number, text in sorted(answers.items()):
            sample = samples[number]
            line = {
                "step": step, "row": str(sample.origin), "question": case_of(sample).question,
                "expected": sample.answer, "answer": text,
            }  # fmt: skip
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def shown(samples: Sequence[Sample], before: Answers, after: Answers, meanwhile: Mapping[int, Answers]) -> list[Shown]:
    """Return what the report shows of the samples that were asked."""
    return [
        Shown(
            sample.pictures, case_of(sample).question, sample.answer, before.get(number, ""), after[number],
            {step: answers[number] for step, answers in sorted(meanwhile.items()) if number in answers},
        )
        for number, sample in enumerate(samples)
        if number in after
    ]  # fmt: skip

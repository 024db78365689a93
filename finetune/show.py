"""What base and adapter answer to a few samples, for the report. It measures nothing: that is the evaluation's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from finetune.config import FinetuneConfig
from finetune.data.sample import Sample
from finetune.rows import messages_of
from model.processor import encode

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor


@dataclass(frozen=True)
class Shown:
    """One sample and its answers."""

    pictures: tuple[Path, ...]
    question: str
    expected: str
    base: str
    adapter: str


def answer_samples(
    model: Any, processor: "Qwen3VLProcessor", samples: Sequence[Sample], config: FinetuneConfig
) -> list[Shown]:
    """Return greedy answers to the last question of each sample, without the adapter and with it."""
    model.eval()
    model.config.use_cache = True
    found = []
    for sample in samples:
        asked = replace(sample, messages=sample.messages[:-1])
        inputs = encode(processor, messages_of(asked), max_pixels=config.data.image_max_pixels).to(model.device)
        with model.disable_adapter():
            base = _answer(model, processor, inputs, config)
        adapted = _answer(model, processor, inputs, config)
        question = next((m.text for m in reversed(asked.messages) if m.role == "user"), "")
        found.append(Shown(sample.pictures, question, sample.answer, base, adapted))
    return found


def _answer(model: Any, processor: "Qwen3VLProcessor", inputs: Any, config: FinetuneConfig) -> str:
    model.get_base_model().model.rope_deltas = None  # of the question before
    dtype = torch.bfloat16 if config.model.bf16 else torch.float16
    with torch.no_grad(), torch.autocast(model.device.type, dtype, enabled=config.model.bf16 or config.model.fp16):
        tokens = model.generate(**inputs, max_new_tokens=config.report.report_max_new_tokens, do_sample=False)
    text: str = processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return text.strip()

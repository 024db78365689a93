"""Answers to many questions: batches of like length, padded on the left, by the model's own `generate`.

Greedy unless told else, so that the same question has the same answer. It knows no metric. Letters for shapes: B rows,
T tokens of the longest prompt.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig

from finetune.data.chat_messages import messages_of
from finetune.data.dataset import Broken
from finetune.data.sample import Sample
from finetune.data.token_counts import TokenCounter
from finetune.data.unusable import Unusable
from model.errors import ImageError
from model.pictures.frame_budget import FrameBudget
from model.qwen3_vl.generation import OutOfMemory
from model.qwen3_vl.load import base_model
from model.qwen3_vl.processor import encode

if TYPE_CHECKING:
    from model.qwen3_vl.load import Loaded

MOST_ROWS = 64
_VISUAL = ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw")


@dataclass(frozen=True)
class Said:
    """An answer."""

    text: str
    tokens: int
    """Written ones, without the end."""
    finished: bool
    """False where `max_new_tokens` cut it off."""


@dataclass(frozen=True)
class Asked:
    """A prompt's place in the work."""

    number: int
    """Of the sample."""
    tokens: int


def plan(
    loaded: "Loaded",
    samples: Sequence[Sample],
    *,
    max_new_tokens: int,
    max_pixels: int | None,
    frames: FrameBudget | None = None,
) -> tuple[list[Asked], list[tuple[int, Broken]]]:
    """Return the prompts, the longest first so that want of memory shows at once, and the samples that cannot be asked.

    It looks at the headers of picture files only.
    """
    counter = TokenCounter(loaded.processor, max_pixels=max_pixels, frames=frames)
    limit = base_model(loaded.model).config.get_text_config().max_position_embeddings - max_new_tokens
    found: list[Asked] = []
    broken: list[tuple[int, Broken]] = []
    for number, sample in enumerate(samples):
        try:
            tokens = counter.count(sample).prompt
        except Unusable as unusable:
            broken.append((number, Broken(sample.origin, unusable.reason)))
            continue
        if tokens > limit:
            reason = f"its prompt has {tokens:,} tokens, where {limit:,} fit beside an answer of {max_new_tokens:,}"
            broken.append((number, Broken(sample.origin, reason)))
        else:
            found.append(Asked(number, tokens))
    return sorted(found, key=lambda asked: (-asked.tokens, asked.number)), broken


def batches(asked: Sequence[Asked], *, max_new_tokens: int, batch_tokens: int) -> Iterator[list[Asked]]:
    """Yield prompts in their order, as many at a time as `batch_tokens` holds when all are padded to the longest."""
    batch: list[Asked] = []
    for one in asked:
        longest = max([one.tokens, *(other.tokens for other in batch)]) + max_new_tokens
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * longest > batch_tokens):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


class Answerer:
    """Answers batches with one loaded model."""

    def __init__(
        self,
        loaded: "Loaded",
        *,
        max_new_tokens: int,
        max_pixels: int | None,
        frames: FrameBudget | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        self._loaded, self._max_new_tokens, self._max_pixels = loaded, max_new_tokens, max_pixels
        self._frames = frames
        generation = base_model(loaded.model).generation_config
        eos = generation.eos_token_id
        self._eos: list[int] = eos if isinstance(eos, list) else [eos]
        self._pad = int(loaded.processor.tokenizer.pad_token_id)
        chosen = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "top_k": 50, **(sampling or {})}
        self._config = GenerationConfig(
            **chosen, max_new_tokens=max_new_tokens, use_cache=True, eos_token_id=self._eos, pad_token_id=self._pad
        )

    def encode(self, sample: Sample) -> dict[str, Any]:
        """Return the model's inputs for everything in front of the sample's last answer.

        Raises:
            ImageError: A picture, once it is decoded.
        """
        asked = replace(sample, messages=sample.messages[:-1])
        return dict(
            encode(self._loaded.processor, messages_of(asked), max_pixels=self._max_pixels, frames=self._frames)
        )

    def answer(self, prompts: Sequence[dict[str, Any]], *, adapted: bool) -> list[Said]:
        """Return an answer to each prompt; where memory runs out, in two halves.

        Args:
            prompts: What `encode` returned.
            adapted: With the adapter, where the model uses one, or without it.

        Raises:
            OutOfMemory: A single prompt does not fit.
        """
        try:
            return self._answer(prompts, adapted)
        except (MemoryError, RuntimeError) as error:  # the CPU's want of memory is a bare RuntimeError
            text = str(error).lower()
            if not isinstance(error, MemoryError) and "out of memory" not in text and "allocate memory" not in text:
                raise
            short = error
        if self._loaded.device.type == "cuda":
            torch.cuda.empty_cache()
        if len(prompts) == 1:
            raise OutOfMemory(str(self._loaded.device), self._max_pixels) from short
        half = len(prompts) // 2
        return [*self.answer(prompts[:half], adapted=adapted), *self.answer(prompts[half:], adapted=adapted)]

    @torch.no_grad()
    def _answer(self, prompts: Sequence[dict[str, Any]], adapted: bool) -> list[Said]:
        model = self._loaded.model
        inputs = left_padded(prompts, self._pad)
        length = inputs["input_ids"].shape[1]
        base_model(model).model.rope_deltas = None  # of the batch before
        switch: AbstractContextManager[Any] = nullcontext()
        if not adapted and hasattr(model, "disable_adapter"):
            switch = model.disable_adapter()

        with switch:
            written = model.generate(
                **{name: tensor.to(self._loaded.device) for name, tensor in inputs.items()},
                generation_config=self._config,
            )
        return [self._read(row) for row in written[:, length:].tolist()]

    def _read(self, tokens: list[int]) -> Said:
        end = next((place for place, token in enumerate(tokens) if token in self._eos), None)
        text: str = self._loaded.processor.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Said(text.strip(), len(tokens[:end]), end is not None)


def left_padded(prompts: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Return one batch of prompts: `input_ids`, `attention_mask`, `mm_token_type_ids` (B, T), pictures behind another.

    `mm_token_type_ids` is never left out: `generate` would place pictures as if they were text, in silence.
    """
    length = max(prompt["input_ids"].shape[1] for prompt in prompts)
    fill = {"input_ids": pad_token_id, "attention_mask": 0, "mm_token_type_ids": 0}
    batch = {
        name: torch.cat(
            [
                torch.nn.functional.pad(prompt[name], (length - prompt[name].shape[1], 0), value=value)
                for prompt in prompts
            ]
        )  # (B, T)
        for name, value in fill.items()
    }
    for name in _VISUAL:
        seen = [prompt[name] for prompt in prompts if name in prompt]
        if seen:
            batch[name] = torch.cat(seen)
    return batch


def answer_all(
    loaded: "Loaded",
    samples: Sequence[Sample],
    wanted: Sequence[tuple[int, bool]],
    *,
    max_new_tokens: int,
    max_pixels: int | None,
    keep: Callable[[Sequence[tuple[int, bool, Said]]], None],
    progress: Callable[[int], None] | None = None,
    batch_tokens: int,
    frames: FrameBudget | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> list[tuple[int, Broken]]:
    """Answer samples with and without the adapter; a prompt is made once for both.

    Args:
        loaded: The model, which uses the adapter.
        samples: All samples.
        wanted: Number of a sample, and whether the adapter is to answer.
        max_new_tokens: Longest answer.
        max_pixels: Pixel budget of a picture.
        keep: Given the answers of each batch as soon as they are there.
        progress: Told how many answers there are so far.
        batch_tokens: Of a batch.
        frames: Pixel budget of a frame, where it is another one.
        sampling: Options of `generate` by which tokens are chosen; none takes the likeliest.

    Returns:
        The samples that could not be asked, with the reason.

    Raises:
        OutOfMemory: A single prompt does not fit; what was kept stays kept.
    """
    forms: dict[int, list[bool]] = {}
    for number, adapted in wanted:
        forms.setdefault(number, []).append(adapted)
    numbers = list(forms)
    some = [samples[number] for number in numbers]
    sizes: dict[str, Any] = {"max_new_tokens": max_new_tokens, "max_pixels": max_pixels, "frames": frames}
    answerer = Answerer(loaded, **sizes, sampling=sampling)
    asked, refused = plan(loaded, some, **sizes)
    broken = [(numbers[place], why) for place, why in refused]
    done = sum(len(forms[number]) for number, _ in broken)
    for batch in batches(asked, max_new_tokens=max_new_tokens, batch_tokens=batch_tokens):
        prompts: dict[int, dict[str, Any]] = {}
        for one in batch:
            try:
                prompts[numbers[one.number]] = answerer.encode(some[one.number])
            except ImageError as error:
                broken.append((numbers[one.number], Broken(some[one.number].origin, str(error))))
                done += len(forms[numbers[one.number]])
        for adapted in (True, False):
            due = [number for number in prompts if adapted in forms[number]]
            if due:
                said = answerer.answer([prompts[number] for number in due], adapted=adapted)
                keep([(number, adapted, text) for number, text in zip(due, said, strict=True)])
                done += len(due)
            if progress is not None:
                progress(done)
    return broken

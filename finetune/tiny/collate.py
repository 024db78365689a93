"""Conversations into one padded batch: token ids, labels, patches. It draws no conversation and trains nothing.

Letters for shapes: B conversations, T tokens of the longest, P patches of all pictures, N pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from finetune.data.drawn.turns import Conversation
from finetune.tiny.build import MERGE_SIZE, PATCH_SIZE
from graph import prompts

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

IGNORE_INDEX = -100
CELL = PATCH_SIZE * MERGE_SIZE


@dataclass(frozen=True)
class Batch:
    """Model inputs and, for the report by task, where each labelled turn lies.

    `inputs` holds input_ids, attention_mask, labels, mm_token_type_ids, each (B, T), pixel_values
    (P, 1536) and image_grid_thw (N, 3); `spans` holds (row, start, end, kind) of each learned answer.
    """

    inputs: dict[str, torch.Tensor]
    spans: list[tuple[int, int, int, str]]


def patches(image: Image.Image, width: int, height: int) -> np.ndarray:
    """Cut a picture into the rows that Qwen2VLImageProcessor gives for it at this size: (H/16 * W/16, 1536)."""
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    x = (np.asarray(resized, dtype=np.float32) / 255 - 0.5) / 0.5  # (H, W, 3)
    p, m = PATCH_SIZE, MERGE_SIZE
    x = x.reshape(height // CELL, m, p, width // CELL, m, p, 3).transpose(
        0, 3, 1, 4, 6, 2, 5
    )  # (gh, gw, m, m, 3, p, p)
    x = np.repeat(x[:, :, :, :, :, None], 2, axis=5)  # a still picture fills both time steps of a patch
    return x.reshape(-1, 3 * 2 * p * p)


class Collator:
    """Turns conversations whose pictures all get one size into a `Batch`, in the chat template's own form."""

    def __init__(self, tokenizer: "Qwen2Tokenizer") -> None:
        self.pad_id = tokenizer.pad_token_id
        self.image_id = tokenizer.convert_tokens_to_ids("<|image_pad|>")

        @lru_cache(maxsize=50_000)
        def encode(text: str) -> tuple[int, ...]:
            return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

        self._encode = encode

    def __call__(self, conversations: Sequence[Conversation], width: int, height: int, max_tokens: int) -> Batch:
        """Return the batch.

        Args:
            conversations: One a row.
            width: In pixels, a multiple of 32: every picture is resized to it.
            height: Likewise.
            max_tokens: Later turns of a longer conversation are left out, or one row would pad all others.
        """
        rows: list[tuple[list[int], list[int]]] = []
        spans: list[tuple[int, int, int, str]] = []
        pixel_values: list[np.ndarray] = []
        for row, talk in enumerate(conversations):
            rows.append(self._row(row, talk, width // CELL * (height // CELL), max_tokens, spans))
            pixel_values += [patches(im, width, height) for im in talk.images]
        longest = max(len(ids) for ids, _ in rows)
        input_ids = torch.full((len(rows), longest), self.pad_id)
        labels = torch.full((len(rows), longest), IGNORE_INDEX)
        attention_mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, (ids, label) in enumerate(rows):
            input_ids[i, : len(ids)] = torch.tensor(ids)
            labels[i, : len(ids)] = torch.tensor(label)
            attention_mask[i, : len(ids)] = 1
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": labels,
            "mm_token_type_ids": (input_ids == self.image_id).int(),
        }
        if pixel_values:
            inputs["pixel_values"] = torch.from_numpy(np.concatenate(pixel_values))
            grid = [[1, height // PATCH_SIZE, width // PATCH_SIZE]] * len(pixel_values)
            inputs["image_grid_thw"] = torch.tensor(grid)
        return Batch(inputs, spans)

    def _row(
        self, row: int, talk: Conversation, cells: int, max_tokens: int, spans: list[tuple[int, int, int, str]]
    ) -> tuple[list[int], list[int]]:
        ids = list(self._encode(f"<|im_start|>system\n{prompts.SYSTEM}<|im_end|>\n"))
        labels = [IGNORE_INDEX] * len(ids)
        pictures = list(self._encode("<|vision_start|>"))
        pictures += [self.image_id] * cells
        pictures += self._encode("<|vision_end|>")
        for i, turn in enumerate(talk.turns):
            said = [*self._encode("<|im_start|>user\n"), *(pictures * len(talk.images) if i == 0 else [])]
            said += [*self._encode(turn.text), *self._encode("<|im_end|>\n<|im_start|>assistant\n")]
            answer = [*self._encode(turn.answer), *self._encode("<|im_end|>")]
            if i and len(ids) + len(said) + len(answer) >= max_tokens:
                break
            ids += said
            labels += [IGNORE_INDEX] * len(said)
            if turn.learn:
                spans.append((row, len(ids), len(ids) + len(answer), turn.kind))
            ids += answer
            labels += answer if turn.learn else [IGNORE_INDEX] * len(answer)
            ids += self._encode("\n")
            labels += [IGNORE_INDEX]
        return ids, labels

"""The endless, reproducible stream of training batches: batch number i depends on the seed and i alone."""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

import torch
from torch.utils.data import IterableDataset

from finetune.data.protocol import compare_conversation, reading_conversation, scene_conversation
from finetune.tiny.build import EASY_SIZES, SIZES
from finetune.tiny.collate import Batch, Collator

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

ROWS, MAX_TOKENS = 32, 270
EASY_MAX_TOKENS = 190  # shorter rows make room for more pictures, of which the tower learns
COMPARE_ROWS, READING_ROWS = 1, 6
# Over these the pictures grow from few plain shapes to all, and the reading from one passage to `MAX_PASSAGES`:
# from the full world at once the tower stayed blind for 600 steps.
WARM_UP_BATCHES = 2500
MAX_PASSAGES = 4


def make_batch(collator: Collator, seed: int, number: int) -> Batch:
    """Return batch `number`; every picture in it gets one of the sizes, early ones an easy size."""
    rng = Random(f"{seed}/{number}")
    ease = max(0.0, 1 - number / WARM_UP_BATCHES)
    width, height = rng.choice(EASY_SIZES if rng.random() < ease else SIZES)
    most = 1 + min(MAX_PASSAGES - 1, number * MAX_PASSAGES // WARM_UP_BATCHES)
    max_tokens = round(MAX_TOKENS - (MAX_TOKENS - EASY_MAX_TOKENS) * ease)
    scenes = ROWS * MAX_TOKENS // max_tokens - COMPARE_ROWS - READING_ROWS
    talks = [scene_conversation(rng, width, height, ease) for _ in range(scenes)]
    talks += [compare_conversation(rng, width, height) for _ in range(COMPARE_ROWS)]
    talks += [reading_conversation(rng, most) for _ in range(READING_ROWS)]
    return collator(talks, width, height, max_tokens)


class Batches(IterableDataset[Batch]):
    """Batches from `start` to `stop`, made in a DataLoader's worker beside the training."""

    def __init__(self, tokenizer: "Qwen2Tokenizer", seed: int, start: int, stop: int) -> None:
        self.tokenizer, self.seed, self.start, self.stop = tokenizer, seed, start, stop

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        collator = Collator(self.tokenizer)
        for number in range(self.start, self.stop):
            yield make_batch(collator, self.seed, number)

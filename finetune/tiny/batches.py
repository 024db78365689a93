"""The endless, reproducible stream of training batches: batch number i depends on the seed and i alone."""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

import torch
from torch.utils.data import IterableDataset

from finetune.data.drawn.protocol import compare_conversation, reading_conversation, scene_conversation
from finetune.tiny.build import EASY_SIZES, SIZES
from finetune.tiny.collate import Batch, Collator

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

ROWS, MAX_TOKENS = 34, 270
COMPARE_ROWS, READING_ROWS = 1, 8
# To see comes first: many pictures in short rows, nothing else. With everything from the start, and four times fewer
# pictures, colours and shapes were still confused after 4,000 batches.
SEEING_BATCHES, SEEING_ROWS, SEEING_TOKENS, SEEING_CHARS = 1500, 60, 144, 130
# Over these the pictures grow from few plain shapes to all: in the full world from the start, the tower stayed blind
# for 600 steps. After the seeing, reading grows from one passage to `MAX_PASSAGES` over as many.
WARM_UP_BATCHES = 1500
MAX_PASSAGES = 4


def make_batch(collator: Collator, seed: int, number: int) -> Batch:
    """Return batch `number`; every picture in it gets one of the sizes, early ones an easy size."""
    rng = Random(f"{seed}/{number}")
    ease = max(0.0, 1 - number / WARM_UP_BATCHES)
    width, height = rng.choice(EASY_SIZES if rng.random() < ease else SIZES)
    if number < SEEING_BATCHES:
        talks = [
            scene_conversation(rng, width, height, ease, seeing=True, chars=SEEING_CHARS) for _ in range(SEEING_ROWS)
        ]
        return collator(talks, width, height, SEEING_TOKENS)
    most = 1 + min(MAX_PASSAGES - 1, (number - SEEING_BATCHES) * MAX_PASSAGES // WARM_UP_BATCHES)
    talks = [scene_conversation(rng, width, height, ease) for _ in range(ROWS - COMPARE_ROWS - READING_ROWS)]
    talks += [compare_conversation(rng, width, height) for _ in range(COMPARE_ROWS)]
    talks += [reading_conversation(rng, most) for _ in range(READING_ROWS)]
    return collator(talks, width, height, MAX_TOKENS)


class Batches(IterableDataset[Batch]):
    """Batches from `start` to `stop`, made in a DataLoader's worker beside the training."""

    def __init__(self, tokenizer: "Qwen2Tokenizer", seed: int, start: int, stop: int) -> None:
        self.tokenizer, self.seed, self.start, self.stop = tokenizer, seed, start, stop

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        collator = Collator(self.tokenizer)
        for number in range(self.start, self.stop):
            yield make_batch(collator, self.seed, number)

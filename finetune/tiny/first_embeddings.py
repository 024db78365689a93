"""The words' first embeddings: the directions in which the tower says them.

The dense stage's heads know how the tower's output tells a red thing from a blue one. The embeddings of "red", " red"
and its Chinese word begin as that direction, so that a question's word and what the tower says of a thing are alike
from the first step, in both languages.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from finetune.data.drawn.scenes import ALPHABET
from finetune.data.drawn.scenes import COLORS as COLOR_NAMES
from finetune.data.drawn.scenes import SHAPES as SHAPE_NAMES
from finetune.data.drawn.wording import SIZES
from finetune.tiny.words import forms

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

    from finetune.tiny.dense import Head

OWN_SHARE = 0.3  # of a word's random embedding that stays, so that its forms can still be told apart


@torch.no_grad()
def embed_as_seen(model: "Qwen3VLForConditionalGeneration", tokenizer: "Qwen2Tokenizer", head: "Head") -> int:
    """Begin the words' embeddings as the head's directions; returns how many were set."""
    table = model.model.language_model.embed_tokens.weight
    length = table.norm(dim=-1).mean()
    count = 0
    for text, direction in _directions(head):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) == 1:
            table[ids[0]] = OWN_SHARE * table[ids[0]] + direction / direction.norm() * length
            count += 1
    return count


def _directions(head: "Head") -> Iterator[tuple[str, torch.Tensor]]:
    weights = dict(zip(head.widths, head.linear.weight.split(list(head.widths.values())), strict=True))
    for classes, names in (("color", tuple(COLOR_NAMES)), ("shape", SHAPE_NAMES), ("size", tuple(SIZES))):
        # What all classes share says that something is there, not what it is.
        apart = weights[classes] - weights[classes].mean(0)
        for name, direction in zip(names, apart, strict=True):
            for form in forms(name):
                yield form, direction
    letters = weights["letter"] - weights["letter"].mean(0)
    yield from zip(ALPHABET, letters[1:], strict=True)

"""Rows into batches: padded to the longest, or packed behind one another, with only the labelled positions scored.

Opens no picture: rows bring patches or the key of kept features. Letters for shapes: B rows, T tokens of the longest,
P patches of all pictures, N pictures, L labelled positions, V visual tokens, D deepstack layers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.training.encoding import IGNORE_INDEX, Row, Vision
from finetune.training.vision_cache import load_features

Batch = dict[str, torch.Tensor]


class Collator:
    """Makes the model's inputs of rows, or of packs of rows.

    Right padding needs no mask: nothing looks ahead, so that no row sees its padding. In a pack every row begins at
    position 0 again, which is what transformers' mask goes by (`find_packed_sequence_indices`); the positions have
    four axes for that, the first for the text. Rows with branches bring a mask that says all of this.
    """

    def __init__(
        self,
        pad_token_id: int,
        *,
        packing: bool = False,
        padding_side: Literal["left", "right"] = "right",
        features: Path | None = None,
        attention_mask: bool = False,
        reopen: "Callable[[Row], Row] | None" = None,
    ) -> None:
        """Keep how.

        Args:
            pad_token_id: Stands in the padding.
            packing: Rows of one item stand behind one another.
            padding_side: `left` for generation; it needs the mask.
            features: Folder of the kept features that the rows name; None if they bring patches.
            attention_mask: Say which tokens are padding although right padding needs no mask.
            reopen: Gives a row its patches where they were let go.
        """
        self.pad_token_id, self.packing, self.padding_side = pad_token_id, packing, padding_side
        self.features, self.reopen = features, reopen
        self.attention_mask = attention_mask or padding_side == "left"

    def __call__(self, items: Sequence[Sequence[Row]]) -> Batch:
        """Return a batch.

        Args:
            items: Each is the rows of one sequence: one, or where packing several.

        Returns:
            `input_ids`, `mm_token_type_ids` (B, T), `position_ids` (4, B, T) where packing, else (3, B, T);
            `logits_to_keep` (B, T), true where the next token is labelled; `labels` and `shift_labels` (L,), those
            tokens, twice because transformers asks for either. With pictures `image_grid_thw` (N, 3) and either
            `pixel_values` (P, 1536) or `image_features` (1 + D, V, hidden); `attention_mask` (B, T) where it is asked
            for, and (B, 1, T, T) where rows have branches; `counted_tokens` (B, T) where it is asked for and the mask
            cannot say it, of packs and of rows with branches; for videos the same with `video` in the
            place of `image`, and `pixel_values_videos`.
        """
        length = max(sum(len(row) for row in item) for item in items)
        shape = (len(items), length)
        input_ids = np.full(shape, self.pad_token_id, dtype=np.int64)
        following = np.full(shape, IGNORE_INDEX, dtype=np.int64)
        types = np.zeros(shape, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        # (B, T): of which row of its item a token is, and of which branch of that
        places, branches = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        axes = 4 if self.packing else 3
        positions = np.zeros((axes, *shape), dtype=np.int64)
        for line, item in enumerate(items):
            begin = length - sum(len(row) for row in item) if self.padding_side == "left" else 0
            for number, row in enumerate(item):
                assert row.position_ids is not None, "positions are made before the first batch"
                end = begin + len(row)
                input_ids[line, begin:end] = row.input_ids
                following[line, begin : end - 1] = row.labels[1:]
                types[line, begin:end] = row.mm_token_type_ids
                mask[line, begin:end] = 1
                places[line, begin:end] = number
                if row.branches is not None:
                    branches[line, begin:end] = row.branches
                positions[-3:, line, begin:end] = row.position_ids
                if self.packing:
                    positions[0, line, begin:end] = np.arange(len(row))
                begin = end
            if self.packing:  # the padding is one more row of the pack
                positions[:, line, begin:] = np.arange(length - begin)
        keep = following != IGNORE_INDEX
        targets = torch.from_numpy(following[keep])
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "mm_token_type_ids": torch.from_numpy(types),
            "position_ids": torch.from_numpy(positions),
            "logits_to_keep": torch.from_numpy(keep),
            "labels": targets,
            "shift_labels": targets,
        }
        if branches.any():
            batch["attention_mask"] = torch.from_numpy(tree_mask(places, branches))
        elif self.attention_mask and not self.packing:
            batch["attention_mask"] = torch.from_numpy(mask)
        if self.attention_mask and (branches.any() or self.packing) and not mask.all():
            batch["counted_tokens"] = torch.from_numpy(mask)
        return batch | self._vision([row for item in items for row in item])

    def _vision(self, rows: Sequence[Row]) -> Batch:
        if self.features is None and self.reopen is not None:
            rows = [self.reopen(row) if any(v.pixel_values is None for v in row.vision) else row for row in rows]
        batch: Batch = {}
        names = {"image": "pixel_values", "video": "pixel_values_videos"}
        for kind in ("image", "video"):
            seen = [vision for row in rows for vision in row.vision if vision.kind == kind]
            if not seen:
                continue
            batch[f"{kind}_grid_thw"] = torch.tensor([vision.grid_thw for vision in seen])
            if self.features is not None:
                batch[f"{kind}_features"] = torch.cat([load_features(self.features, v.key) for v in seen], dim=1)
            else:
                batch[names[kind]] = torch.cat([_patches(vision) for vision in seen])
        return batch


def tree_mask(places: NDArray[np.int32], branches: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which token sees which, (B, 1, T, T): those before it of its own row, of other branches none.

    Args:
        places: (B, T), the number of the row; padding is a row of its own.
        branches: (B, T), 0 for what all branches of a row see.
    """
    seen, own = branches[:, None, :], branches[:, :, None]
    allowed = (places[:, None, :] == places[:, :, None]) & ((seen == 0) | (seen == own))
    return np.tril(allowed)[:, None]


def pack(lengths: Sequence[int], limit: int) -> list[list[int]]:
    """Return the numbers of the rows of each pack, none longer than `limit` where no row is.

    First fit decreasing (D. S. Johnson, "Near-optimal bin packing algorithms", 1973): at most 11/9 of the fewest packs
    and one more.
    """
    packs: list[list[int]] = []
    room: list[int] = []
    open_from, shortest = 0, min(lengths, default=0)
    for number in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        size = lengths[number]
        for place in range(open_from, len(packs)):
            if room[place] >= size:
                break
        else:
            place = len(packs)
            packs.append([])
            room.append(limit)
        packs[place].append(number)
        room[place] -= size
        while open_from < len(packs) and room[open_from] < shortest:
            open_from += 1
    return packs


def model_inputs(batch: Batch) -> dict[str, Any]:
    """Return the batch as Qwen3-VL takes it: kept features in the form of the tower's output."""
    from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

    # without a cache of keys and values: it would cost memory, and hide from the mask that rows are packed
    inputs: dict[str, Any] = {**batch, "use_cache": False}
    outputs = {}
    for kind in ("image", "video"):
        features = inputs.pop(f"{kind}_features", None)
        if features is not None:
            outputs[kind] = BaseModelOutputWithDeepstackFeatures(
                pooler_output=[features[0]], deepstack_features=[[layer] for layer in features[1:]]
            )
    if outputs:
        inputs["mm_encoder_outputs"] = outputs
    return inputs


def _patches(vision: Vision) -> torch.Tensor:
    assert vision.pixel_values is not None, "rows without kept features bring their patches"
    return vision.pixel_values

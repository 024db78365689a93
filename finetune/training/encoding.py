"""Turns samples into rows of token ids and labels, with their pictures as patches; only answers are labelled.

A row that is too long loses words behind its last picture; no picture is ever cut. Makes no batches and runs no model.
Letters for shapes: T tokens of the row, P patches of all its pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from finetune.data.chat_messages import messages_of
from finetune.data.sample import Sample
from model.pictures.frame_budget import FrameBudget
from model.qwen3_vl.processor import encode

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3VLProcessor

IGNORE_INDEX = -100


class RowRefused(Exception):
    """A sample that cannot be learned; the message is the reason, without the sample's place."""


@dataclass(frozen=True)
class Vision:
    """A picture or a video of a row as the tower takes it."""

    kind: Literal["image", "video"]
    grid_thw: tuple[int, int, int]
    """Patches along time, height and width."""
    pixel_values: "torch.Tensor | None"
    """(t*h*w, 1536), or None once the features are cached."""
    key: str = ""
    """Names the features in the cache."""


@dataclass(frozen=True)
class Row:
    """One sample in tokens."""

    sample: Sample
    input_ids: NDArray[np.int32]
    """(T,)"""
    labels: NDArray[np.int32]
    """(T,): the token itself if it is learned, else -100."""
    mm_token_type_ids: NDArray[np.int32]
    """(T,): 0 text, 1 picture, 2 video."""
    vision: tuple[Vision, ...]
    """In the order in which the row names them."""
    position_ids: NDArray[np.int32] | None = None
    """(3, T): time, height and width; None until the model was asked."""
    branches: NDArray[np.int32] | None = None
    """(T,): 0 for the beginning that branches share, then the number of each; None for a row that has none."""

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def learned(self) -> int:
        """How many tokens are labelled."""
        return int((self.labels != IGNORE_INDEX).sum())


class Encoder:
    """Makes rows with one processor; the same for all samples, so that worker processes can take it along."""

    def __init__(
        self,
        processor: "Qwen3VLProcessor",
        *,
        cutoff_len: int,
        max_pixels: int | None,
        mask_history: bool,
        frames: FrameBudget | None = None,
    ) -> None:
        self.processor, self.cutoff_len, self.max_pixels, self.frames = processor, cutoff_len, max_pixels, frames
        self.mask_history = mask_history
        tokenizer = processor.tokenizer
        self._start, self._end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
        self._header: list[int] = tokenizer("assistant\n", add_special_tokens=False)["input_ids"]

    def __call__(self, sample: Sample) -> Row:
        """Return the sample's row.

        Raises:
            RowRefused: Too long for its pictures, or nothing in it is learned.
            ImageError: A picture.
        """
        inputs = encode(
            self.processor, messages_of(sample), max_pixels=self.max_pixels, frames=self.frames,
            add_generation_prompt=False,
        )  # fmt: skip
        ids = inputs["input_ids"][0].numpy().astype(np.int32)
        labels = self._label(ids)
        types = inputs["mm_token_type_ids"][0].numpy().astype(np.int32)
        length = self._cut(types, len(ids))
        if not (labels[1:length] != IGNORE_INDEX).any():
            raise RowRefused(
                f"nothing of its answer is within cutoff_len ({len(ids)} tokens)"
                if length < len(ids)
                else "the assistant says nothing in it"
            )
        return Row(sample, ids[:length], labels[:length], types[:length], tuple(_vision(inputs)))

    def _label(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Label what stands between the assistant's header and its end, which is learned, too.

        Only the template writes control tokens, so that a user who types one moves no label.
        """
        labels = np.full_like(ids, IGNORE_INDEX)
        starts = np.flatnonzero(ids == self._start)
        spans = []
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            begin = start + 1 + len(self._header)
            header = ids[start + 1 : begin]
            # an answer that begins with a line break melts into the header's last token
            if len(header) < len(self._header) or list(header[:-1]) != self._header[:-1]:
                continue
            ends = np.flatnonzero(ids[begin:stop] == self._end)
            if len(ends):
                spans.append((begin, begin + ends[0] + 1))
        for begin, end in spans[-1:] if self.mask_history else spans:
            labels[begin:end] = ids[begin:end]
        return labels

    def _cut(self, types: NDArray[np.int32], length: int) -> int:
        """Return the length at which the row ends: behind `cutoff_len` words go, pictures do not."""
        if length <= self.cutoff_len:
            return length
        pictures = np.flatnonzero(types)
        # the token that closes a picture belongs to it
        needed = int(pictures[-1]) + 2 if len(pictures) else 0
        if needed >= self.cutoff_len:
            raise RowRefused(
                f"its pictures reach to token {needed:,}, beyond cutoff_len ({self.cutoff_len:,}): raise cutoff_len, "
                "or lower image_max_pixels"
            )
        return self.cutoff_len


def _vision(inputs: Any) -> "Sequence[Vision]":
    """Cut the patches of a row into its pictures and videos, in the order in which the row names them.

    Pictures and videos come apart from the processor; in a row that has both, pictures stand first here, as the
    model takes either kind in its own order.
    """
    found: list[Vision] = []
    for kind, values, grids in (
        ("image", "pixel_values", "image_grid_thw"),
        ("video", "pixel_values_videos", "video_grid_thw"),
    ):
        if grids not in inputs:
            continue
        sizes = inputs[grids].prod(-1).tolist()
        for grid, patches in zip(inputs[grids].tolist(), inputs[values].split(sizes), strict=True):
            found.append(Vision("image" if kind == "image" else "video", tuple(grid), patches))
    return found

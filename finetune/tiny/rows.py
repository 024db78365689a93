"""Rows of a shared prefix and many short talks: how the language stage gets hundreds of questions into a step.

A row begins with the system text and a picture, two pictures or passages. Its branches are talks that each go on from
there and see the prefix, but not one another: no answer can be copied from an earlier one, and the prefix is computed
once. Branches are packed into lanes of equal length. It draws no pictures and computes no loss.
Letters for shapes: B rows, P tokens of the prefix, N lanes of L tokens, T = P + N * L, V slots for visual tokens.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from finetune.data.drawn.turns import Turn
from finetune.tiny.build import IGNORE_INDEX
from graph import prompts

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

SLOTS = 36  # visual tokens of the largest picture
Branch = list[Turn]
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Layout:
    """How many rows, lanes and tokens; fixed for a kind of row, so that a compiled step fits every batch."""

    rows: int
    pictures: int
    text: int
    """Tokens of the prefix behind system text and pictures, for passages."""
    lanes: int = 3
    lane: int = 96


@dataclass(frozen=True)
class Rows:
    """A batch of rows, ready for `row_model`."""

    input_ids: torch.Tensor
    """(B, T)"""
    labels: torch.Tensor
    """At each position the token that must follow, or `IGNORE_INDEX`, (B, T)."""
    positions: torch.Tensor
    """(3, B, T), as Qwen3-VL counts them."""
    prefix: int
    """P"""
    prefix_seen: torch.Tensor
    """Whether a token of the prefix is there, (B, P)."""
    branch: torch.Tensor
    """Number of the branch that a token of a lane belongs to, -1 for none, (B, N, L)."""
    slots: tuple[int, ...]
    """Where in the prefix the visual slots begin."""
    spans: list[tuple[int, int, int, str]]
    """(row, start, end, kind) of each learned answer, in T; the kind carries the language."""


class RowWriter:
    """Writes branches as token ids in the chat template's own form, and packs them into rows."""

    def __init__(self, tokenizer: "Qwen2Tokenizer") -> None:
        self.pad_id: int = tokenizer.pad_token_id
        self.image_id: int = tokenizer.convert_tokens_to_ids("<|image_pad|>")

        @lru_cache(maxsize=100_000)
        def encode(text: str) -> tuple[int, ...]:
            return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

        self._encode = encode
        self.system = encode(f"<|im_start|>system\n{prompts.SYSTEM}<|im_end|>\n<|im_start|>user\n")

    def prefix_length(self, layout: Layout) -> int:
        """Return P."""
        return len(self.system) + layout.pictures * (SLOTS + 2) + layout.text

    def talk(self, branch: Branch) -> tuple[list[int], list[int], list[tuple[int, int, str]]]:
        """Return a branch's ids from the first user's words on, what must follow each, and the spans of its answers."""
        ids, spans = list[int](), list[tuple[int, int, str]]()
        for n, turn in enumerate(branch):
            ids += self._encode("<|im_start|>user\n") if n else ()
            ids += self._encode(turn.text)
            ids += () if turn.bare else self._encode("<|im_end|>\n<|im_start|>assistant\n")
            start = len(ids)
            ids += self._encode(turn.answer)
            ids += () if turn.bare else self._encode("<|im_end|>")
            if turn.learn:
                spans.append((start, len(ids), turn.kind + (" zh" if _HAN.search(turn.text) else "")))
            ids += self._encode("\n") if n + 1 < len(branch) else ()
        following = [IGNORE_INDEX] * len(ids)
        for start, end, _ in spans:
            following[start - 1 : end - 1] = ids[start:end]
        return ids, following, spans

    def __call__(
        self,
        layout: Layout,
        grids: Sequence[Sequence[tuple[int, int]]],
        next_branch: Sequence[Callable[[], Branch]],
    ) -> Rows:
        """Fill the layout.

        Args:
            layout: Of the batch.
            grids: For each row, rows and columns of visual tokens of its pictures.
            next_branch: For each row, what gives its next branch.
        """
        prefix = self.prefix_length(layout)
        total = prefix + layout.lanes * layout.lane
        input_ids = torch.full((layout.rows, total), self.pad_id)
        labels = torch.full((layout.rows, total), IGNORE_INDEX)
        positions = torch.zeros((3, layout.rows, total), dtype=torch.long)
        seen = torch.zeros((layout.rows, prefix), dtype=torch.bool)
        branches = torch.full((layout.rows, layout.lanes, layout.lane), -1)
        spans = list[tuple[int, int, int, str]]()
        begin, slots = self._encode("<|vision_start|>")[0], tuple[int, ...]()
        for row in range(layout.rows):
            at = len(self.system)
            input_ids[row, :at] = torch.tensor(self.system)
            positions[:, row, :at] = torch.arange(at)
            seen[row, :at] = True
            place, slots = at, ()
            for down, across in grids[row] if layout.pictures else ():
                slots += (at + 1,)
                input_ids[row, at], input_ids[row, at + 1 + SLOTS] = begin, self._encode("<|vision_end|>")[0]
                input_ids[row, at + 1 : at + 1 + SLOTS] = self.image_id
                seen[row, at : at + 1 + down * across] = seen[row, at + 1 + SLOTS] = True
                cells = torch.arange(down * across)
                positions[:, row, at] = place
                where = torch.stack((torch.zeros_like(cells), cells // across, cells % across)) + place + 1
                positions[:, row, at + 1 : at + 1 + down * across] = where
                place += 1 + max(down, across)
                positions[:, row, at + 1 + SLOTS] = place
                place, at = place + 1, at + SLOTS + 2
            talks = self._talks(layout, next_branch[row])
            shared = self._shared(talks, layout.text)
            if shared:
                input_ids[row, at : at + shared] = torch.tensor(talks[0][0][:shared])
                positions[:, row, at : at + shared] = torch.arange(shared) + place
                seen[row, at : at + shared] = True
            lanes = [0] * layout.lanes
            for number, (ids, following, answers) in enumerate(talks):
                rest = len(ids) - shared
                lane = next((n for n, used in enumerate(lanes) if used + rest <= layout.lane), None)
                if lane is None:
                    continue
                start = prefix + lane * layout.lane + lanes[lane]
                part = slice(start, start + rest)
                input_ids[row, part] = torch.tensor(ids[shared:])
                labels[row, part] = torch.tensor(following[shared:])
                positions[:, row, part] = torch.arange(rest) + place + shared
                branches[row, lane, lanes[lane] : lanes[lane] + rest] = number
                spans += [(row, start + s - shared, start + e - shared, kind) for s, e, kind in answers]
                lanes[lane] += rest
        return Rows(input_ids, labels, positions, prefix, seen, branches, slots, spans)

    def _talks(
        self, layout: Layout, draw: Callable[[], Branch]
    ) -> list[tuple[list[int], list[int], list[tuple[int, int, str]]]]:
        """Draw branches until they would fill the lanes; what is longer than a lane's share is not taken."""
        talks, used, most = [], 0, layout.lane + layout.text
        while used < layout.lanes * layout.lane:
            talk = self.talk(draw())
            length = len(talk[0]) - (layout.text if layout.text else 0)
            used += max(3, length)
            if len(talk[0]) <= most:
                talks.append(talk)
        return talks

    @staticmethod
    def _shared(talks: list[tuple[list[int], list[int], list[tuple[int, int, str]]]], most: int) -> int:
        """Return how many first tokens all talks share, before any answer."""
        most = min([most, *(spans[0][0] - 1 if spans else len(ids) - 1 for ids, _, spans in talks)])
        shared = 0
        while shared < most and len({ids[shared] for ids, _, _ in talks}) == 1:
            shared += 1
        return shared

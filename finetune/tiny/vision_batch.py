"""One attention call for all equal-sized pictures of a batch, while the bundled checkpoint is trained.

transformers' SDPA path calls attention once for each picture and layer, which on a CPU costs more than
the arithmetic; pictures of one size need no such loop. Results are the same up to rounding (a test).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.nn.functional import linear
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLVisionAttention,
    Qwen3VLVisionPatchEmbed,
    apply_rotary_pos_emb_vision,
)


def _forward(
    self: Qwen3VLVisionAttention,
    hidden_states: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
    **_: Any,
) -> torch.Tensor:
    assert position_embeddings is not None, "Qwen3-VL's vision blocks always pass rotary embeddings"
    total, pictures = hidden_states.shape[0], len(cu_seqlens) - 1
    qkv = self.qkv(hidden_states).view(total, 3, self.num_heads, -1)  # (P, 3, heads, D)
    query, key = apply_rotary_pos_emb_vision(qkv[:, 0], qkv[:, 1], *position_embeddings)
    split = (pictures, total // pictures, self.num_heads, -1)
    query, key, value = (x.reshape(split).transpose(1, 2) for x in (query, key, qkv[:, 2]))  # (N, heads, P/N, D)
    # Written out: for sequences this short PyTorch's own attention takes twice as long backwards on a CPU.
    weights = ((query * self.scaling).to(value.dtype) @ key.transpose(-1, -2).to(value.dtype)).softmax(-1)
    mixed = weights.to(value.dtype) @ value
    return self.proj(mixed.transpose(1, 2).reshape(total, -1))


def _embed(self: Qwen3VLVisionPatchEmbed, hidden_states: torch.Tensor) -> torch.Tensor:
    weight = self.proj.weight
    return linear(hidden_states, weight.view(weight.shape[0], -1), self.proj.bias)


@contextmanager
def equal_sized_pictures() -> Iterator[None]:
    """Within this context every forward pass must hold pictures of one size."""
    with (
        patch.object(Qwen3VLVisionAttention, "forward", _forward),
        patch.object(Qwen3VLVisionPatchEmbed, "forward", _embed),  # a convolution backwards is ten times slower
    ):
        yield

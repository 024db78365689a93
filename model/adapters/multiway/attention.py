"""Multi-head latent attention: keys and values are compressed to one small vector a token, which is all that is kept.

As DeepSeek-V2 (2024, section 2.1): queries and keys have a part without position, made of the compressed vector, and a
rotary part, which for keys all heads share. The rotary part turns along time, height and width as Qwen2-VL's does (P.
Wang et al., 2024, section 2.1: M-RoPE), each with frequencies of its own.

Letters for shapes: B rows, T tokens of this pass, S with those before, H width of the model, A heads, D head_dim, R
rope_dim, C kv_rank.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.adapters.multiway.config import MultiwayConfig

    Keep = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    """Takes what is to be kept of these tokens, (B, 1, T, C) and (B, 1, T, R), and returns that of all, with S."""


class Rotation(NamedTuple):
    """By which angles each token's rotary part turns; (B, T, R / 2) each."""

    cos: torch.Tensor
    sin: torch.Tensor


def sections(rope_dim: int) -> tuple[int, int, int]:
    """Return how many frequencies belong to time, height and width: a quarter, and half of the rest each."""
    half = rope_dim // 2
    height = (half - half // 4) // 2
    return half - 2 * height, height, height


def rotation(positions: torch.Tensor, rope_dim: int, theta: float) -> Rotation:
    """Return the rotation of tokens at positions (3, B, T)."""
    exponents = torch.arange(0, rope_dim, 2, device=positions.device, dtype=torch.float32) / rope_dim
    angles = positions.float().unsqueeze(-1) * theta**-exponents  # (3, B, T, R / 2)
    parts = angles.split(sections(rope_dim), dim=-1)
    own = torch.cat([part[axis] for axis, part in enumerate(parts)], dim=-1)  # (B, T, R / 2)
    return Rotation(own.cos(), own.sin())


def rotate(x: torch.Tensor, turn: Rotation) -> torch.Tensor:
    """Return x (B, T, ..., R) turned; the first and the second half are a pair."""
    cos, sin = turn.cos.to(x.dtype), turn.sin.to(x.dtype)
    if x.ndim == 4:
        cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class LatentAttention(nn.Module):
    """Attention whose cache is C + R numbers a token."""

    def __init__(self, hidden: int, config: "MultiwayConfig") -> None:
        super().__init__()
        self.heads, self.head_dim, self.rope_dim = config.num_heads, config.head_dim, config.rope_dim
        self.kv_rank = config.kv_rank
        self.q_down = nn.Linear(hidden, config.q_rank, bias=False)
        self.q_norm = nn.RMSNorm(config.q_rank, eps=1e-6)
        self.q_up = nn.Linear(config.q_rank, self.heads * (self.head_dim + self.rope_dim), bias=False)
        self.kv_down = nn.Linear(hidden, self.kv_rank + self.rope_dim, bias=False)
        self.kv_norm = nn.RMSNorm(self.kv_rank, eps=1e-6)
        self.kv_up = nn.Linear(self.kv_rank, self.heads * 2 * self.head_dim, bias=False)
        self.out = nn.Linear(self.heads * self.head_dim, hidden, bias=False)
        self.scale = 1 / math.sqrt(self.head_dim + self.rope_dim)

    def forward(self, x: torch.Tensor, turn: Rotation, mask: torch.Tensor | None, keep: "Keep | None") -> torch.Tensor:
        """Return (B, T, H).

        Args:
            x: (B, T, H).
            turn: Of its tokens.
            mask: (B or 1, 1, T, S): true where a token looks, or what is added to its scores; none for all tokens up
                to its own.
            keep: Keeps and completes what attention looks at; none where nothing is kept.
        """
        queries = self.q_up(self.q_norm(self.q_down(x))).unflatten(-1, (self.heads, -1))
        plain, turned = queries.split([self.head_dim, self.rope_dim], dim=-1)  # (B, T, A, D), (B, T, A, R)
        turned = rotate(turned, turn)
        latent, key_turned = self.kv_down(x).split([self.kv_rank, self.rope_dim], dim=-1)
        latent, key_turned = self.kv_norm(latent), rotate(key_turned, turn)  # (B, T, C), (B, T, R)
        if keep is not None:
            kept = keep(latent.unsqueeze(1), key_turned.unsqueeze(1))
            latent, key_turned = kept[0][:, 0].to(x.dtype), kept[1][:, 0].to(x.dtype)  # (B, S, C), (B, S, R)
        if x.shape[1] == 1 and not torch.is_grad_enabled():
            seen = self._one(plain, turned, latent, key_turned, mask)
        else:
            seen = self._all(plain, turned, latent, key_turned, mask)
        made: torch.Tensor = self.out(seen.flatten(2))
        return made

    def _all(
        self, plain: torch.Tensor, turned: torch.Tensor, latent: torch.Tensor, key_turned: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """Return (B, T, A, D) by keys and values of every head."""
        keys, values = self.kv_up(latent).unflatten(-1, (self.heads, 2 * self.head_dim)).chunk(2, dim=-1)
        shared = key_turned.unsqueeze(2).expand(-1, -1, self.heads, -1)
        query = torch.cat([plain, turned], dim=-1).transpose(1, 2)  # (B, A, T, D + R)
        key = torch.cat([keys, shared.to(keys.dtype)], dim=-1).transpose(1, 2)  # (B, A, S, D + R)
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(query.dtype)
        seen = F.scaled_dot_product_attention(
            query, key, values.transpose(1, 2), attn_mask=mask, is_causal=mask is None and query.shape[2] > 1,
            scale=self.scale,
        )  # fmt: skip
        return seen.transpose(1, 2)

    def _one(
        self, plain: torch.Tensor, turned: torch.Tensor, latent: torch.Tensor, key_turned: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:  # fmt: skip
        """Return the same for one new token, without making keys and values of all that came before.

        What makes a key of a compressed vector is multiplied into the query instead (DeepSeek-V2, section 2.1.2).
        """
        up = self.kv_up.weight.to(latent.dtype).unflatten(0, (self.heads, 2 * self.head_dim))  # (A, 2 D, C)
        to_key, to_value = up.chunk(2, dim=1)
        query = torch.einsum("btad,adc->batc", plain, to_key)
        scores = torch.einsum("batc,bsc->bats", query, latent) + torch.einsum("btar,bsr->bats", turned, key_turned)
        scores = scores.float() * self.scale
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        shares = scores.softmax(-1).to(latent.dtype)
        seen = torch.einsum("bats,bsc->batc", shares, latent)
        return torch.einsum("batc,adc->btad", seen, to_value)

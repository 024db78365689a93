"""Qwen3-VL's language side over `Rows`: the same arithmetic as transformers' own, with attention in two parts.

A token of a lane attends to the prefix and to its own branch: two small products instead of one over the whole row.
With a C++ compiler the layers are compiled, which halves a step; without one they run as they are. A test holds the
result against the model's own forward pass over each talk. Shapes as in `rows`; C channels, G groups of K heads of D.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch.nn.functional import cross_entropy, linear, silu

from finetune.tiny.build import IGNORE_INDEX
from finetune.tiny.rows import SLOTS, Rows

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

EPSILON = 1e-6
Layer = Callable[..., torch.Tensor]


def _norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPSILON))


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), -1) * sin


def layer(
    own: Any,
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    prefix_mask: torch.Tensor,
    prefix_seen: torch.Tensor,
    lane_mask: torch.Tensor,
) -> torch.Tensor:
    """Return the hidden states after one decoder layer.

    Args:
        own: transformers' decoder layer, whose weights are used.
        hidden: (B, T, C)
        cos: Of the rotary embedding, (B, T, 1, D).
        sin: Likewise.
        prefix_mask: 0 where a token of the prefix sees another, else very negative, (B, 1, 1, P, P).
        prefix_seen: The same for tokens of lanes, (B, 1, 1, 1, 1, P).
        lane_mask: The same within lanes, (B, 1, N, 1, L, L).
    """
    b, p = prefix_seen.shape[0], prefix_seen.shape[-1]
    n, length = lane_mask.shape[2], lane_mask.shape[-1]
    attention = own.self_attn
    d = attention.head_dim
    x = _norm(hidden, own.input_layernorm.weight)
    q, k, v = (f(x).unflatten(-1, (-1, d)) for f in (attention.q_proj, attention.k_proj, attention.v_proj))
    g, heads = k.shape[2], q.shape[2] // k.shape[2]
    q = (_turned(_norm(q, attention.q_norm.weight), cos, sin) * d**-0.5).to(v.dtype).unflatten(2, (g, heads))
    k = _turned(_norm(k, attention.k_norm.weight), cos, sin).to(v.dtype)
    prefix_k, prefix_v = k[:, :p].permute(0, 2, 3, 1), v[:, :p].transpose(1, 2)  # (B, G, D, P), (B, G, P, D)
    # The norms of queries and keys bound the scores, so that exp needs no maximum to be taken off.
    scores = q[:, :p].permute(0, 2, 3, 1, 4).reshape(b, g, -1, d) @ prefix_k
    weights = (scores.float().view(b, g, heads, p, p) + prefix_mask).clamp(max=80).exp()
    weights = (weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)).to(v.dtype)
    of_prefix = (weights.view(b, g, -1, p) @ prefix_v).view(b, g, heads, p, d).permute(0, 3, 1, 2, 4).reshape(b, p, -1)
    lane_q = q[:, p:].unflatten(1, (n, length)).permute(0, 3, 1, 4, 2, 5)  # (B, G, N, K, L, D)
    lane_k = k[:, p:].unflatten(1, (n, length)).permute(0, 3, 1, 4, 2)  # (B, G, N, D, L)
    lane_v = v[:, p:].unflatten(1, (n, length)).permute(0, 3, 1, 2, 4)  # (B, G, N, L, D)
    far = (lane_q.reshape(b, g, -1, d) @ prefix_k).float().view(b, g, n, heads, length, p) + prefix_seen
    near = (lane_q.reshape(b, g, n, -1, d) @ lane_k).float().view(b, g, n, heads, length, length) + lane_mask
    far, near = far.clamp(max=80).exp(), near.clamp(max=80).exp()
    whole = far.sum(-1, keepdim=True) + near.sum(-1, keepdim=True)
    far, near = (far / whole).to(v.dtype), (near / whole).to(v.dtype)
    mixed = (far.view(b, g, -1, p) @ prefix_v).view(b, g, n, heads, length, d)
    mixed = mixed + (near.view(b, g, n, -1, length) @ lane_v).view(b, g, n, heads, length, d)
    of_lanes = mixed.permute(0, 2, 4, 1, 3, 5).reshape(b, n * length, -1)
    hidden = hidden + attention.o_proj(torch.cat((of_prefix, of_lanes), 1))
    x = _norm(hidden, own.post_attention_layernorm.weight)
    return hidden + own.mlp.down_proj(silu(own.mlp.gate_proj(x)) * own.mlp.up_proj(x))


@contextmanager
def compiled() -> Iterator[Layer]:
    """Yield `layer`, compiled where a C++ compiler is at hand.

    What is compiled is kept in a folder of its own: a killed run leaves files half written, which the next one would
    fail on.
    """
    if which("g++") is None:
        yield layer
        return
    with TemporaryDirectory() as folder, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=folder):
        yield torch.compile(layer, dynamic=False)


def logits_of(
    model: "Qwen3VLForConditionalGeneration", rows: Rows, features: torch.Tensor | None, run: Layer = layer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (labelled tokens, vocabulary) and the tokens that must follow (labelled tokens,).

    Args:
        model: Whose language side is run.
        rows: The batch.
        features: Outputs of merger and deepstack, zero where a slot is empty, (B, pictures, V, 1 + deepstack, C).
        run: The layer, plain or compiled.
    """
    text = model.model.language_model
    hidden = text.embed_tokens(rows.input_ids)
    cos, sin = (x.unsqueeze(2) for x in text.rotary_emb(hidden, rows.positions))
    if features is not None:
        hidden = hidden.clone()
        for n, slot in enumerate(rows.slots):
            hidden[:, slot : slot + SLOTS] = features[:, n, :, 0]
    never = torch.tensor(-1e9)
    order = torch.ones(rows.prefix, rows.prefix, dtype=torch.bool).tril()
    prefix_mask = torch.where(order & rows.prefix_seen[:, None, :], 0.0, never)[:, None, None]
    prefix_seen = torch.where(rows.prefix_seen, 0.0, never)[:, None, None, None, None]
    same = rows.branch.unsqueeze(-1) == rows.branch.unsqueeze(-2)
    lane_mask = torch.where(same & torch.ones_like(same[0, 0]).tril(), 0.0, never)[:, None, :, None]
    for number, own in enumerate(text.layers):
        hidden = run(own, hidden, cos, sin, prefix_mask, prefix_seen, lane_mask)
        if features is not None and number + 1 < features.shape[3]:
            hidden = hidden.clone()
            for n, slot in enumerate(rows.slots):
                hidden[:, slot : slot + SLOTS] += features[:, n, :, number + 1].to(hidden.dtype)
    keep = rows.labels != IGNORE_INDEX
    return linear(_norm(hidden[keep], text.norm.weight), model.lm_head.weight), rows.labels[keep]


def loss_of(
    model: "Qwen3VLForConditionalGeneration",
    rows: Rows,
    features: torch.Tensor | None,
    *,
    bf16: bool,
    run: Layer = layer,
) -> tuple[torch.Tensor, int]:
    """Return the summed cross entropy over the labelled tokens, and how many there are."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits, targets = logits_of(model, rows, features, run)
    return cross_entropy(logits.float(), targets, reduction="sum"), len(targets)

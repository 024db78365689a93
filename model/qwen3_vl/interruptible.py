"""Lets a forward pass be left in the middle: before every layer's parts, and between pieces of the tower's attention.

Reading a large picture or a long prompt takes seconds that nobody may want any more, and one layer of it up to seconds.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

IN_PIECES = "sdpa_in_pieces"
"""Name under which transformers finds the attention below."""
QUERIES = 1_024
"""Patches of a piece: of 40,000 that look at each other, a piece takes some tenths of a second on two cores."""

_looking = threading.local()


@contextmanager
def interruptible(base: Any, look: Callable[[], None]) -> Iterator[None]:
    """Call `look` often while `base`, a `Qwen3VLForConditionalGeneration`, runs in this thread; it may raise."""
    layers = [*base.model.language_model.layers, *base.model.visual.blocks]
    parts = [part for layer in layers for name, part in layer.named_children() if name in ("attn", "self_attn", "mlp")]
    hooks = [part.register_forward_pre_hook(lambda module, args: look()) for part in (*layers, *parts)]
    tower = base.model.visual.config
    implementation = tower._attn_implementation
    if implementation == "sdpa":
        tower._attn_implementation = IN_PIECES
    _looking.look = look
    try:
        yield
    finally:
        _looking.look = None
        tower._attn_implementation = implementation
        for hook in hooks:
            hook.remove()


def _in_pieces(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Return scaled dot product attention (B, Q, heads, D) of queries (B, heads, Q, D); each row is the same alone."""
    look = getattr(_looking, "look", None)
    if look is None or attention_mask is not None or options.get("is_causal") or query.shape[2] <= QUERIES:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    found = []
    for piece in query.split(QUERIES, dim=2):
        look()
        found.append(sdpa_attention_forward(module, piece, key, value, None, **options)[0])
    return torch.cat(found, dim=1), None


AttentionInterface.register(IN_PIECES, _in_pieces)

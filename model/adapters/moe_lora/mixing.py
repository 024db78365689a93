"""Mixes each token's low-rank features with those of the tokens before it.

A depthwise, causal convolution over the tokens, added to what goes in. MoT-LoRA mixes with all channels and with later
tokens too, which a model that writes one token after the other cannot use. Where the model keeps a cache of keys and
values, the features of earlier tokens are kept in it as one more of its layers, so that cropping, repeating and
reordering the cache does the same with them.

Letters for shapes: B rows, T tokens of this pass, P of earlier ones, C features, K tokens looked back on.
"""

from typing import Any, NamedTuple

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from model.adapters.moe_lora.tokens import Tokens
from model.errors import ModelError


class Rows(NamedTuple):
    """Some rows of a batch."""

    places: torch.Tensor
    """Which."""
    of: int
    """Of how many."""


class EarlierTokensUnknown(ModelError):
    """A cache that was not filled by this adapter."""

    def __init__(self, past: int, kept: int) -> None:
        self.past, self.kept = past, kept
        super().__init__(
            f"MoE-LoRA's token mixing needs the features of {past} earlier tokens and the cache holds {kept}; read the "
            "whole text with this adapter into a new DynamicCache, or set use_cache to False."
        )


class CacheRefused(ModelError):
    """A cache of a kind that can keep keys and values alone; `kind` is its class."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"MoE-LoRA's token mixing keeps the features of earlier tokens in a DynamicCache, and was given a {kind}; "
            "leave cache_implementation out, or set use_cache to False."
        )


def mix(
    features: torch.Tensor, weight: torch.Tensor, tokens: Tokens, key: str, layers: int, rows: Rows | None
) -> torch.Tensor:
    """Return the features (B, T, C), each token's mixed with those of the tokens before it in the same sample.

    Args:
        features: (B, T, C).
        weight: (K, C); the first row is the token's own.
        tokens: Of these rows.
        key: Under which the features are kept.
        layers: Of the language model.
        rows: Which rows of the cache these are; none for all in their order.

    Raises:
        EarlierTokensUnknown: The cache does not hold what came before.
        CacheRefused: It cannot.
    """
    if tokens.counted is not None:
        features = features * tokens.counted.unsqueeze(-1).to(features.dtype)  # padding must not leak into a text
    length = features.shape[1]
    known = _earlier(tokens, key, features, rows)  # (B, P, C)
    if tokens.cache is not None:
        _keep(tokens, key, layers, features, rows)
    back = weight.shape[0] - 1
    known = known[:, -back:]
    missing = back - known.shape[1]
    before = torch.cat([features.new_zeros(features.shape[0], missing, features.shape[2]), known, features], dim=1)
    mixed = features + features * weight[0].to(features.dtype)
    for step in range(1, back + 1):
        earlier = before[:, back - step : back - step + length]  # (B, T, C)
        if tokens.places is not None:
            earlier = earlier * (tokens.places >= step).unsqueeze(-1).to(earlier.dtype)
        mixed = mixed + earlier * weight[step].to(features.dtype)
    return mixed


def _earlier(tokens: Tokens, key: str, features: torch.Tensor, rows: Rows | None) -> torch.Tensor:
    if not tokens.past:
        return features[:, :0]
    kept = _history(tokens.cache, key)
    held = 0 if kept is None else kept.get_seq_length()
    if kept is None or held < tokens.past:
        raise EarlierTokensUnknown(tokens.past, held)
    states = kept.keys[:, 0, : tokens.past].to(features.dtype)
    return states if rows is None else states[rows.places]


def _keep(tokens: Tokens, key: str, layers: int, features: torch.Tensor, rows: Rows | None) -> None:
    cache = tokens.cache
    if not isinstance(cache, DynamicCache):
        raise CacheRefused(type(cache).__name__)
    kept = _history(cache, key)
    if kept is None:
        while len(cache.layers) < layers:  # a cache made without a configuration grows as its layers come
            cache.layers.append(DynamicLayer())
        kept = DynamicLayer()
        places: dict[str, int] = cache.__dict__.setdefault("moelora_places", {})
        places[key] = len(cache.layers)
        cache.layers.append(kept)
    new = features.detach()
    if rows is not None:
        new = new.new_zeros(rows.of, *new.shape[1:]).index_copy(0, rows.places, new)
    new = new.unsqueeze(1)  # (B, 1, T, C), as keys are
    if kept.is_initialized:
        new = torch.cat([kept.keys[:, :, : tokens.past], new], dim=2)
    kept.dtype, kept.device, kept.is_initialized = new.dtype, new.device, True
    kept.keys, kept.values = new, new[..., :0]


def _history(cache: Any, key: str) -> Any:
    place = getattr(cache, "moelora_places", {}).get(key)
    return None if place is None else cache.layers[place]

"""Reads a prompt into a key-value cache, taking from earlier prompts what they have in common with it.

The answer is then written by transformers' own `generate`, which goes on from the cache (`generation.py`).
Letters for shapes: L tokens of the prompt, P patches of a picture, V visual tokens of a picture, W its width in the
language model.
"""

import hashlib
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cachetools import LRUCache
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from model.qwen3_vl.prefix_cache import Layer, PrefixCache

if TYPE_CHECKING:
    from transformers import BatchFeature

    from model.qwen3_vl.prefix_cache import TokenIds
    from model.qwen3_vl.reading_speed import ReadingSpeed

FEATURES_SHARE = 0.25  # of the bytes, for what the vision tower gave
LEARNT_TOKENS = 128
"""A shorter reading tells little of how fast this machine reads."""
IMAGE, VIDEO = 1, 2  # in mm_token_type_ids

UNSHARED = "unshared"
"""The family of an adapter that cannot go on from keys and values alone; nothing is known in it and nothing kept."""

Features = tuple[torch.Tensor, ...]
"""What the vision tower gives for one picture: (V, W), then as much for each deepstack layer."""


@dataclass(frozen=True)
class Read:
    """A prompt as the model has read it."""

    cache: DynamicCache
    """Keys and values of its tokens but the last ones, which `generate` reads itself."""
    ids: "TokenIds"
    """Of all of them, (L,): token ids, for pictures what names them."""
    cached_tokens: int
    """How many were not read again."""
    last_position: torch.Tensor
    """(3, 1, 1): of the last token."""


@dataclass(frozen=True)
class _Sight:
    """One picture or video of a prompt: the places of its tokens, and its patches."""

    kind: int
    start: int
    end: int
    first_patch: int
    patches: int
    grid: torch.Tensor
    """(1, 3)."""
    digest: bytes


class PrefixReader:
    """Remembers what one model has read, within a limit of bytes; for one thread."""

    def __init__(self, base: Any, limit_bytes: int, speed: "ReadingSpeed | None" = None) -> None:
        """Remember for `base`, a `Qwen3VLForConditionalGeneration`; with a limit of 0 nothing.

        `speed` learns from what is read, on a CPU, where it takes seconds.
        """
        self._base = base
        self._speed = speed if base.device.type == "cpu" else None
        features = int(limit_bytes * FEATURES_SHARE)
        self.prefixes = PrefixCache(limit_bytes - features)
        # Kept apart, because they stay valid where keys and values do not: under another adapter of the text layers,
        # or behind another text.
        self.features: LRUCache[tuple[Hashable, bytes], Features] = LRUCache(features, getsizeof=_nbytes)

    @torch.no_grad()
    def read(self, inputs: "BatchFeature", family: Hashable, until: int | None = None, sight: Hashable = None) -> Read:
        """Read one prompt, what `model.qwen3_vl.processor.encode` returned, up to its last token or to token `until`.

        `family` and `sight` name the adapter on which keys and values, and a picture's features, depend.

        Leaves the model's `rope_deltas` as `generate` needs them to go on, so that nothing else may run in between.
        """
        model, input_ids = self._base.model, inputs["input_ids"]
        sights = _sights(inputs, model.visual.spatial_merge_size)
        ids = _named(input_ids[0].cpu().numpy(), sights)
        positions, deltas = model.get_rope_index(
            input_ids, inputs["mm_token_type_ids"], inputs.get("image_grid_thw"), inputs.get("video_grid_thw")
        )  # (3, 1, L), (1, 1)
        end = len(ids) - 1 if until is None else until
        known = 0 if family == UNSHARED else _before_halves(self.prefixes.match(family, ids[:end]), sights)
        cache = DynamicCache(config=self._base.config.get_text_config())
        for number, (keys, values) in enumerate(self.prefixes.layers(family, ids[:known])):
            if number == len(cache.layers):  # of an adapter that keeps layers of its own behind the model's
                cache.layers.append(DynamicLayer())
            cache.update(keys, values, number)
        if known < end:
            to_read = slice(known, end)
            features = self._seen([s for s in sights if s.start >= known], inputs, sight)
            began = time.monotonic()
            # The model without its head: nobody reads the logits of a prompt, and for frozen weights below float32 a
            # CPU would copy the whole head (151,936 x 2,048) to compute them.
            model(
                input_ids=input_ids[:, to_read],
                position_ids=positions[:, :, to_read],
                past_key_values=cache,
                use_cache=True,
                mm_encoder_outputs=features,
            )
            self._learn("language", end - known, time.monotonic() - began)
        model.rope_deltas = deltas
        return Read(cache, ids, known, positions[:, :, -1:])

    @torch.no_grad()
    def last_logits(self, inputs: "BatchFeature", read: Read) -> torch.Tensor:
        """Return the logits (vocabulary,) of what would follow the prompt."""
        output = self._base(
            input_ids=inputs["input_ids"][:, -1:],
            position_ids=read.last_position,
            past_key_values=read.cache,
            use_cache=True,
        )
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def keep(self, read: Read, new_ids: Sequence[int], family: Hashable, until: int | None = None) -> None:
        """Remember the prompt and as much of the answer as the cache holds; with `until` what stands before it."""
        if family == UNSHARED:
            return
        layers = _layers(read.cache)
        held = min((keys.shape[2] for keys, _ in layers), default=0)  # uneven where a pass was interrupted
        ids = np.concatenate([read.ids, np.asarray(new_ids, np.int64)])[:held][:until]
        if len(ids):
            self.prefixes.store(family, ids, layers)

    def _learn(self, part: str, tokens: int, seconds: float) -> None:
        if self._speed is None or tokens < LEARNT_TOKENS:
            return
        work = self._speed.work
        self._speed.learn(part, work.tower(tokens) if part == "tower" else work.language(tokens), seconds)
        if part == "language":
            self._speed.save()

    def _seen(self, sights: Sequence[_Sight], inputs: "BatchFeature", family: Hashable) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        for name, kind in (("image", IMAGE), ("video", VIDEO)):
            features = [self._features(sight, inputs, family) for sight in sights if sight.kind == kind]
            if features:
                pooled, *deepstack = zip(*features, strict=True)
                outputs[name] = BaseModelOutputWithDeepstackFeatures(pooler_output=pooled, deepstack_features=deepstack)
        return outputs

    def _features(self, sight: _Sight, inputs: "BatchFeature", family: Hashable) -> Features:
        known = self.features.get((family, sight.digest))
        if known is not None:
            return known
        pixels = inputs["pixel_values" if sight.kind == IMAGE else "pixel_values_videos"]
        began = time.monotonic()
        seen = self._base.model.get_image_features(
            pixels[sight.first_patch : sight.first_patch + sight.patches], sight.grid, return_dict=True
        )
        if int(sight.grid[0, 0]) == 1:  # frames attend to their own alone
            self._learn(
                "tower", sight.patches // self._base.model.visual.spatial_merge_size**2, time.monotonic() - began
            )
        # Views of what the tower computed with them would hold that in memory too.
        features = tuple(torch.cat(part).clone() for part in (seen.pooler_output, *seen.deepstack_features))
        if _nbytes(features) <= self.features.maxsize:
            self.features[family, sight.digest] = features
        return features


def _sights(inputs: "BatchFeature", merge_size: int) -> list[_Sight]:
    """Return the pictures and videos of a prompt in their order within each kind."""
    types = inputs["mm_token_type_ids"][0].cpu().numpy()
    found = []
    for kind, pixels, grids in (
        (IMAGE, "pixel_values", "image_grid_thw"),
        (VIDEO, "pixel_values_videos", "video_grid_thw"),
    ):
        places, patch, token = np.flatnonzero(types == kind), 0, 0
        for grid in inputs.get(grids, ()):
            patches = int(grid.prod())
            tokens = patches // merge_size**2
            rows = inputs[pixels][patch : patch + patches]
            digest = hashlib.blake2b(rows.cpu().contiguous().numpy().tobytes(), digest_size=16)
            digest.update(grid.cpu().numpy().tobytes())
            start, end = int(places[token]), int(places[token + tokens - 1]) + 1
            found.append(_Sight(kind, start, end, patch, patches, grid[None], digest.digest()))
            patch, token = patch + patches, token + tokens
    return found


def _named(token_ids: "TokenIds", sights: Sequence[_Sight]) -> "TokenIds":
    """Return the ids with a negative name for a picture's tokens, which are the same in every picture."""
    ids = token_ids.astype(np.int64)
    for sight in sights:
        name = -1 - int.from_bytes(sight.digest[:7], "big")
        inside = ids[sight.start : sight.end]
        inside[inside == token_ids[sight.start]] = name
    return ids


def _before_halves(known: int, sights: Sequence[_Sight]) -> int:
    """Return where to go on reading: a picture is read as a whole."""
    return min([known, *(s.start for s in sights if s.start < known < s.end)])


def _layers(cache: DynamicCache) -> list[Layer]:
    return [(layer.keys, layer.values) for layer in cache.layers if layer.is_initialized]


def _nbytes(features: Features) -> int:
    return sum(part.nbytes for part in features)

"""What the module must know of the tokens it is given, and the hook on the decoder that learns it.

A decoder's layer sees features, a finished mask and finished angles. The module turns by angles of its own and sends
pictures and text different ways, so it needs what the decoder itself was told.

Letters for shapes: B rows, T tokens of this pass, S tokens with those before.
"""

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from model.adapters.moe_lora.tokens import COUNTED

HOLDER = "_multiway_passage"


@dataclass
class Passage:
    """What one decoder is reading."""

    config: Any
    """The decoder's, with the attention whose masks are tensors."""
    positions: torch.Tensor | None = None
    """(3, B, T): along time, height and width; none while nothing is read."""
    mask: torch.Tensor | None = None
    """(B or 1, 1, T, S), true where a token looks, or what is added; none for all tokens up to its own."""
    visual: torch.Tensor | None = None
    """(B, T), true where a picture or video is; none where all is text."""
    counted: torch.Tensor | None = None
    """(B, T), false for padding; none where nothing is."""
    past: int = 0
    """Tokens of earlier passes, which the cache holds."""
    handles: list[Any] = field(default_factory=list)


def passage_of(decoder: nn.Module) -> Passage:
    """Return the decoder's passage, with its hooks in place."""
    passage: Passage | None = getattr(decoder, HOLDER, None)
    if passage is None:
        config = copy.copy(decoder.config)
        config._attn_implementation = "sdpa"  # type: ignore[union-attr]  # no tensor, no module
        passage = Passage(config)
        setattr(decoder, HOLDER, passage)
    if not passage.handles:
        passage.handles.append(decoder.register_forward_pre_hook(partial(_learn, passage), with_kwargs=True))
        passage.handles.append(decoder.register_forward_hook(partial(_forget, passage), always_call=True))
    return passage


def forget_passage(decoder: nn.Module) -> None:
    """Take the hooks away, where there are any."""
    passage: Passage | None = getattr(decoder, HOLDER, None)
    while passage is not None and passage.handles:
        passage.handles.pop().remove()


def _learn(passage: Passage, decoder: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    from transformers.masking_utils import create_causal_mask

    given = kwargs.get("inputs_embeds")
    if given is None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None:
            return args, kwargs
        given = torch.empty(*ids.shape, 0, device=ids.device)  # for its shape alone
    told = {name: value for name, value in kwargs.items() if name != COUNTED}
    cache, mask, positions = (told.get(name) for name in ("past_key_values", "attention_mask", "position_ids"))
    rows, length = given.shape[:2]
    passage.past = 0 if cache is None else cache.get_seq_length()
    if positions is None:
        positions = (torch.arange(length, device=given.device) + passage.past).expand(rows, length)
    in_sample = positions[0] if positions.ndim == 3 and positions.shape[0] == 4 else None
    axes = positions.unsqueeze(0) if positions.ndim == 2 else positions[-3:]
    passage.positions = axes.expand(3, -1, -1)
    passage.mask = create_causal_mask(
        config=passage.config, inputs_embeds=given, attention_mask=mask, past_key_values=cache, position_ids=in_sample
    )
    passage.visual = told.get("visual_pos_masks")
    passage.counted = _counted(kwargs.get(COUNTED), mask, length)
    return args, told


def _counted(told: torch.Tensor | None, mask: Any, length: int) -> torch.Tensor | None:
    if told is not None:
        return told.bool()
    # A mask of another form than (B, S) is an attention pattern, not padding.
    return mask[:, -length:].bool() if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None


def _forget(passage: Passage, decoder: nn.Module, args: Any, output: Any) -> None:
    passage.positions = passage.mask = passage.visual = passage.counted = None
    passage.past = 0

"""What a layer must know of the tokens it is given, and the hooks that tell it: which are pictures, which padding.

A linear layer sees features alone. The language model is told the rest, and hands unknown arguments down to its
attention modules; so one hook puts the notice in there and another takes it out in front of the layers. The notice
travels with the arguments and not only beside them, because the backward pass of a checkpointed layer calls it again
with the same arguments when other batches may have been read in between.

Letters for shapes: B rows, T tokens of this pass, S tokens with those of earlier passes.
"""

import inspect
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import nn

NOTICE = "moelora_tokens"
COUNTED = "counted_tokens"
"""An argument of the model: (B, T), false for padding, for batches whose attention mask cannot say it."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of one pass."""

    visual: torch.Tensor | None = None
    """(B, T), true where a picture or video is; none where all is text."""
    counted: torch.Tensor | None = None
    """(B, T), false for padding; none where nothing is."""
    places: torch.Tensor | None = None
    """(B, T), how many tokens of the same sample stand before; none where a row is one sample."""
    past: int = 0
    """Tokens of earlier passes, which the cache holds."""
    cache: Any = None
    """Of keys and values; none where nothing is kept."""

    def rows(self, rows: torch.Tensor) -> "Tokens":
        """Return the notice of some rows."""
        picked = {
            name: value[rows.to(value.device)]
            for name in ("visual", "counted", "places")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **picked)


@dataclass
class Notice:
    """What the layers of one language model look at; set in front of each attention module."""

    tokens: Tokens = field(default_factory=Tokens)
    layers: int = 0
    """Of the language model."""
    handles: list[Any] = field(default_factory=list)

    def remove(self) -> None:
        """Take the hooks away."""
        while self.handles:
            self.handles.pop().remove()


class ReentrantCheckpointing(ValueError):
    """Checkpointing of a kind that loses the gradient of the load-balancing loss."""

    def __init__(self) -> None:
        super().__init__(
            "Reentrant checkpointing loses the gradient of MoE-LoRA's load-balancing loss in silence; "
            'set gradient_checkpointing_kwargs to {"use_reentrant": False}.'
        )


def language_model(model: nn.Module) -> tuple[str, nn.Module] | None:
    """Return name and module of the decoder, by the shape that transformers gives all of them."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, "layers", None), nn.ModuleList) and hasattr(module, "embed_tokens"):
            return name, module
    return None


def tells_pictures(decoder: nn.Module) -> bool:
    """Return whether the decoder is told which tokens are pictures."""
    return "visual_pos_masks" in inspect.signature(type(decoder).forward).parameters


def notice_of(decoder: nn.Module) -> Notice:
    """Return the decoder's notice, with its hooks in place."""
    notice: Notice | None = getattr(decoder, "_moelora_notice", None)
    if notice is None:
        notice = Notice()
        decoder._moelora_notice = notice  # type: ignore[assignment]  # no module, no parameter
    if not notice.handles:
        layers: Any = decoder.layers
        notice.layers = len(layers)
        notice.handles.append(decoder.register_forward_pre_hook(partial(_write, notice), with_kwargs=True))
        notice.handles.append(decoder.register_forward_hook(partial(_forget, notice), always_call=True))
        for layer in layers:
            attention = getattr(layer, "self_attn", None)
            if attention is not None:
                notice.handles.append(attention.register_forward_pre_hook(partial(_read, notice), with_kwargs=True))
    return notice


def _write(notice: Notice, decoder: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if decoder.training and torch.is_grad_enabled():
        _refuse_reentrant(decoder)
    given = kwargs.get("inputs_embeds")
    if given is None:
        given = kwargs.get("input_ids", args[0] if args else None)
    if given is None:
        return args, kwargs
    length = given.shape[1]
    mask, positions, cache = (kwargs.get(name) for name in ("attention_mask", "position_ids", "past_key_values"))
    tokens = Tokens(
        visual=kwargs.get("visual_pos_masks"),
        counted=_counted(kwargs.get(COUNTED), mask, length),
        places=_places(positions),
        past=0 if cache is None else cache.get_seq_length(),
        cache=cache,
    )
    notice.tokens = tokens
    return args, {**{name: value for name, value in kwargs.items() if name != COUNTED}, NOTICE: tokens}


def _counted(told: torch.Tensor | None, mask: Any, length: int) -> torch.Tensor | None:
    if told is not None:
        return told.bool()
    # A mask of another form than (B, S) is an attention pattern, not padding.
    return mask[:, -length:].bool() if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None


def _forget(notice: Notice, decoder: nn.Module, args: Any, output: Any) -> None:
    notice.tokens = Tokens()  # a whole cache of keys and values must not outlive its question


def _places(positions: torch.Tensor | None) -> torch.Tensor | None:
    """Return where each token stands in its sample, if the positions say it: 2 axes, or the first of four rows."""
    if positions is None or positions.ndim == 2:
        return positions
    return positions[0] if positions.shape[0] == 4 else None


def _read(notice: Notice, attention: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    tokens = kwargs.get(NOTICE)
    if tokens is None:
        return None  # type: ignore[return-value]  # torch: nothing changes
    # The decoder makes the cache itself where it is given none.
    notice.tokens = replace(tokens, cache=kwargs.get("past_key_values"))
    return args, {name: value for name, value in kwargs.items() if name != NOTICE}


def _refuse_reentrant(decoder: nn.Module) -> None:
    layers: Any = decoder.layers
    for layer in layers:
        if getattr(layer, "gradient_checkpointing", False):
            checkpoint = getattr(layer, "_gradient_checkpointing_func", None)
            if getattr(checkpoint, "keywords", {}).get("use_reentrant"):
                raise ReentrantCheckpointing
            return

r"""The module in front of the decoder's first layer, and the layers it is made of.

For the embeddings x of text and pictures together, through layers of latent attention and experts (or one network),

.. math:: h = x + g \odot \sum_l u_l

where u are the updates of the layers and g is a gate for each feature that begins as zero, so that a fresh module
changes nothing.

Letters for shapes: B rows, T tokens of this pass, S with those before, H width of the model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_layers import GradientCheckpointingLayer

from model.adapters.multiway.attention import LatentAttention, Rotation, rotation
from model.adapters.multiway.passage import Passage
from model.adapters.multiway.router import GatedMlp, ModalityExperts
from model.errors import ModelError

if TYPE_CHECKING:
    from model.adapters.multiway.config import MultiwayConfig


PART = "multiway_module"
"""Where a layer has the modules of its adapters."""


class MergeRefused(ModelError):
    """Layers in front of the decoder have no weights of the decoder that they could be added to."""

    def __init__(self) -> None:
        super().__init__(
            "A Multiway module cannot be merged into the weights: it is layers of its own in front of the decoder. "
            "Load the adapter beside the base model."
        )


class OneAtATime(ModelError):
    """Several modules were to work on one text."""

    def __init__(self) -> None:
        super().__init__("One Multiway module works at a time; call set_adapter with the name of one of them.")


class EarlierTokensUnknown(ModelError):
    """A cache that was not filled by this module."""

    def __init__(self, past: int, kept: int) -> None:
        self.past, self.kept = past, kept
        super().__init__(
            f"Multiway needs what it kept of {past} earlier tokens and the cache holds {kept}; read the whole text "
            "with this adapter into a new DynamicCache, or set use_cache to False."
        )


class CacheRefused(ModelError):
    """A cache of a kind that can keep the decoder's keys and values alone; `kind` is its class."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"Multiway keeps its own layers in a DynamicCache, and was given a {kind}; leave cache_implementation out, "
            "or set use_cache to False."
        )


class Block(GradientCheckpointingLayer):
    """One layer: attention, then experts of each modality or one network for all."""

    def __init__(self, hidden: int, config: "MultiwayConfig", *, fusion: bool) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(hidden, eps=1e-6)
        self.attention = LatentAttention(hidden, config)
        self.mlp_norm = nn.RMSNorm(hidden, eps=1e-6)
        self.fusion = fusion
        width = config.fusion_size or 4 * hidden
        self.mlp: nn.Module = GatedMlp(hidden, width) if fusion else ModalityExperts(hidden, config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor | None,
        visual: torch.Tensor | None, counted: torch.Tensor | None, past_key_values: Any = None,
    ) -> torch.Tensor:  # fmt: skip
        """Return (B, T, H); the last argument is this layer's own part of a cache."""
        keep = None if past_key_values is None else past_key_values.update
        x = x + self.dropout(self.attention(self.attention_norm(x), Rotation(cos, sin), mask, keep))
        h = self.mlp_norm(x)
        return x + self.dropout(self.mlp(h) if self.fusion else self.mlp(h, visual, counted))


class Multiway(nn.Module):
    """The layers and the gate of one adapter."""

    def __init__(self, hidden: int, config: "MultiwayConfig") -> None:
        super().__init__()
        self.config = config
        kinds = [False] * config.num_multiway_layers + [True] * config.num_fusion_layers
        self.blocks = nn.ModuleList(Block(hidden, config, fusion=fusion) for fusion in kinds)
        self.gate = nn.Parameter(torch.zeros(hidden))
        if not config.init_weights:
            nn.init.normal_(self.gate, std=0.5)

    def updates(self, x: torch.Tensor, passage: Passage, kept: list[DynamicLayer] | None) -> torch.Tensor:
        """Return what all layers add to x (B, T, H), without the gate."""
        assert passage.positions is not None, "the decoder's hook runs before its layers"
        if self.training:
            for experts in self.experts():
                experts.balance()
        turn = rotation(passage.positions.to(x.device), self.config.rope_dim, self.config.rope_theta)
        mask, visual, counted = (
            None if part is None else part.to(x.device) for part in (passage.mask, passage.visual, passage.counted)
        )
        h = x
        for number, block in enumerate(self.blocks):
            options = {} if kept is None else {"past_key_values": kept[number]}
            h = block(h, turn.cos, turn.sin, mask, visual, counted, **options)
        return h - x

    def forward(self, x: torch.Tensor, passage: Passage, kept: list[DynamicLayer] | None) -> torch.Tensor:
        """Return x (B, T, H) with what the module adds."""
        h = x.to(self.gate.dtype)
        return (x + (self.gate * self.updates(h, passage, kept)).to(x.dtype)).to(x.dtype)

    def experts(self) -> Iterator[Any]:
        """Yield the experts of every modality of every layer."""
        for block in self.blocks:
            if isinstance(block, Block) and isinstance(block.mlp, ModalityExperts):
                yield block.mlp.text
                yield block.mlp.vision


class MultiwayLayer(nn.Module, BaseTunerLayer):
    """The decoder's first layer with the modules of every adapter in front of it."""

    active_adapters: list[str]  # PEFT's own, which mypy does not see
    merged_adapters: list[str]
    set_adapter: Callable[..., None]

    adapter_layer_names = (PART,)
    other_param_names = ()

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: "MultiwayConfig", decoder: nn.Module, passage: Passage
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.passage = passage
        shape: Any = decoder.config
        self.hidden, self.layers = int(shape.hidden_size), int(shape.num_hidden_layers)
        self.multiway_module = nn.ModuleDict()
        self._disable_adapters = False
        self.merged_adapters = []
        self.spoil: Callable[[torch.Tensor], torch.Tensor] | None = None
        """What is done to the embeddings where the module's own output is wanted, and nothing of the decoder."""
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, name: str, config: "MultiwayConfig") -> None:
        """Make the weights of an adapter, or make them anew."""
        with torch.device(self._device()):
            module: nn.Module = Multiway(self.hidden, config)
        self.multiway_module[name] = module
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse it."""
        raise MergeRefused

    def unmerge(self) -> None:
        """Do nothing: it never was merged."""

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Return what the decoder's first layer makes of the embeddings (B, T, H) that the module has changed.

        Raises:
            OneAtATime: Several adapters are active.
            EarlierTokensUnknown, CacheRefused: The cache.
        """
        module = self.working()
        if module is not None:
            name, stack = module
            if self.spoil is not None:
                spoilt = self.spoil(hidden_states.to(stack.gate.dtype))
                raise _Alone(spoilt + stack.updates(spoilt, self.passage, None))
            kept = self._kept(name, stack, kwargs.get("past_key_values"))
            hidden_states = stack(hidden_states, self.passage, kept)
        return self.base_layer(hidden_states, *args, **kwargs)

    def working(self) -> tuple[str, Multiway] | None:
        """Return name and module of the adapter that works; none where none does."""
        names = [] if self.disable_adapters else [name for name in self.active_adapters if name in self.multiway_module]
        if len(names) > 1:
            raise OneAtATime
        found: Any = self.multiway_module[names[0]] if names else None
        return None if found is None else (names[0], found)

    def _kept(self, name: str, stack: Multiway, cache: Any) -> list[DynamicLayer] | None:
        """Return the module's layers of the cache, which stand behind the decoder's."""
        if cache is None or (self.training and any(getattr(b, "gradient_checkpointing", False) for b in stack.blocks)):
            return None
        if not isinstance(cache, DynamicCache):
            raise CacheRefused(type(cache).__name__)
        while len(cache.layers) < self.layers + len(stack.blocks):
            cache.layers.append(DynamicLayer())
        kept = cache.layers[self.layers : self.layers + len(stack.blocks)]
        held = min(layer.get_seq_length() for layer in kept)
        if cache.__dict__.setdefault("multiway", name) != name:  # of another adapter
            held = 0
        if held != self.passage.past:
            raise EarlierTokensUnknown(self.passage.past, held)
        return kept

    def _device(self) -> torch.device:
        hook = getattr(self.base_layer, "_hf_hook", None)  # accelerate's, where parts are brought for each use
        if (device := getattr(hook, "execution_device", None)) is not None:
            return torch.device(device)
        first = next(self.base_layer.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def __repr__(self) -> str:
        return "multiway." + super().__repr__()


class _Alone(Exception):
    """Carries the module's output out of a decoder that is not to go on; never leaves this module."""

    def __init__(self, output: torch.Tensor) -> None:
        self.output = output
        super().__init__()


@contextmanager
def alone(layer: MultiwayLayer, spoil: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Have the decoder stop behind the module; the list holds its output (B, T, H), as if the gate were 1.

    `spoil` is given the embeddings (B, T, H) and returns what the module reads in their place.
    """
    found: list[torch.Tensor] = []
    layer.spoil = spoil
    try:
        yield found
    except _Alone as reached:
        found.append(reached.output)
    finally:
        layer.spoil = None

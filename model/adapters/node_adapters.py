"""Activated LoRAs, one a node of the graph, that share the base model's prefix.

An activated LoRA (K. Greenewald et al., "Activated LoRA: fine-tuned LLMs for intrinsics", 2025) changes the weights
only from its invocation tokens on, so that what stands in front of them is read by the base model, once for all nodes.
It trains nothing; PEFT does the arithmetic.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.adapters.attach import AdapterError, attach_adapter, read_adapter
from model.errors import ModelError


class AdapterNotActivated(AdapterError):
    """A plain adapter where only an activated one shares the prefix."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "is no activated LoRA, so that it could not share what the base model has read",
            "train it with alora_invocation_tokens, or use it in all nodes with the setting adapter",
        )


class NotInvoked(ModelError):
    """The prompt does not hold the tokens from which the adapter works."""

    def __init__(self, node_adapter: str) -> None:
        self.node_adapter = node_adapter
        super().__init__(
            f"The adapter of {node_adapter!r} is never invoked: its invocation tokens are not in the prompt behind the "
            "pictures; train it on the tokens that open the assistant's turn, or leave it out of node_adapters."
        )


def attach_node_adapters(model: Any, folders: Sequence[tuple[str, Path]]) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return the model with the adapters on it, none of them in use, and the invocation tokens of each.

    Raises:
        AdapterError: One of them does not fit, or is not activated.
    """
    invocations: dict[str, tuple[int, ...]] = {}
    for node_adapter, folder in folders:
        config, _ = read_adapter(folder)
        tokens = getattr(config, "alora_invocation_tokens", None)
        if not tokens:
            raise AdapterNotActivated(folder)
        model = attach_adapter(model, folder, name=node_adapter)
        invocations[node_adapter] = tuple(tokens)
    return model, invocations


def invoked_at(node_adapter: str, invocation: Sequence[int], input_ids: Sequence[int], after: int) -> int:
    """Return where the invocation tokens stand for the last time, behind all pictures.

    Raises:
        NotInvoked: They stand nowhere there.
    """
    size = len(invocation)
    for start in range(len(input_ids) - size, after - 1, -1):
        if tuple(input_ids[start : start + size]) == tuple(invocation):
            return start
    raise NotInvoked(node_adapter)


@contextmanager
def active_adapter(model: Any, node_adapter: str | None, node_adapters: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Activate one of the node adapters in the body, or none; a model without them stays as it is."""
    if not node_adapters:
        yield
    elif node_adapter is None:
        with model.disable_adapter():
            yield
    else:
        model.set_adapter(node_adapter)
        model.requires_grad_(False)  # set_adapter makes the adapter trainable
        yield

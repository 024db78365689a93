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
            "train it with alora_invocation_tokens, or wear it in all nodes with the setting adapter",
        )


class NotInvoked(ModelError):
    """The prompt does not hold the tokens from which the adapter works."""

    def __init__(self, lens: str) -> None:
        self.lens = lens
        super().__init__(
            f"The adapter of {lens!r} is never invoked: its invocation tokens are not in the prompt behind the "
            "pictures; train it on the tokens that open the assistant's turn, or leave it out of node_adapters."
        )


def attach_lenses(model: Any, folders: Sequence[tuple[str, Path]]) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Return the model with the adapters on it, none of them worn, and the invocation tokens of each.

    Raises:
        AdapterError: One of them does not fit, or is not activated.
    """
    invocations: dict[str, tuple[int, ...]] = {}
    for lens, folder in folders:
        config, _ = read_adapter(folder)
        tokens = getattr(config, "alora_invocation_tokens", None)
        if not tokens:
            raise AdapterNotActivated(folder)
        model = attach_adapter(model, folder, name=lens)
        invocations[lens] = tuple(tokens)
    return model, invocations


def invoked_at(lens: str, invocation: Sequence[int], input_ids: Sequence[int], after: int) -> int:
    """Return where the invocation tokens stand for the last time, behind all pictures.

    Raises:
        NotInvoked: They stand nowhere there.
    """
    size = len(invocation)
    for start in range(len(input_ids) - size, after - 1, -1):
        if tuple(input_ids[start : start + size]) == tuple(invocation):
            return start
    raise NotInvoked(lens)


@contextmanager
def worn(model: Any, lens: str | None, lenses: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Wear one of the lenses in the body, or none; a model without lenses stays as it is."""
    if not lenses:
        yield
    elif lens is None:
        with model.disable_adapter():
            yield
    else:
        model.set_adapter(lens)
        model.requires_grad_(False)  # set_adapter makes the adapter trainable
        yield

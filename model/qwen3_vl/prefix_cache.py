"""What the model has once read is not read again: keys and values of earlier prompts, shared by their beginnings.

A radix tree over tokens, least recently used leaves first out (L. Zheng et al., "SGLang: efficient execution of
structured language model programs", 2024, section 3: RadixAttention). It runs no model; `prefill.py` does.

Letters for shapes: H key-value heads, T tokens, D size of a head.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    TokenIds = NDArray[np.int64]

Layer = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer, (1, H, T, D) each."""


@dataclass(eq=False)
class _Node:
    """A run of tokens that several prompts share, or that ends one."""

    ids: "TokenIds"
    layers: list[Layer]
    parent: "_Node | None"
    children: dict[int, "_Node"] = field(default_factory=dict)
    used: int = 0

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for layer in self.layers for tensor in layer)


class PrefixCache:
    """Keys and values by token ids, bounded by bytes; for one thread.

    Ids are those of the tokens, but for pictures: theirs must say which picture it is, at which resolution.
    What depends on anything else, such as the adapter, goes under a `family` of its own.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._roots: dict[Hashable, _Node] = {}
        self._clock = 0

    def match(self, family: Hashable, ids: "TokenIds") -> int:
        """Return how many of the first ids are known."""
        return sum(n for _, n in self._path(family, ids))

    def layers(self, family: Hashable, ids: "TokenIds") -> list[Layer]:
        """Return keys and values of all ids, which must be known, as tensors of their own."""
        path = self._path(family, ids)
        assert sum(n for _, n in path) == len(ids), "only what was matched can be had"
        self._clock += 1
        for node, _ in path:
            node.used = self._clock
        return [
            (
                torch.cat([node.layers[i][0][:, :, :n] for node, n in path], dim=2),
                torch.cat([node.layers[i][1][:, :, :n] for node, n in path], dim=2),
            )
            for i in range(len(path[0][0].layers) if path else 0)
        ]

    def store(self, family: Hashable, ids: "TokenIds", layers: Sequence[Layer]) -> None:
        """Keep the keys and values of these ids, T of them; what is known already is not kept twice."""
        self._clock += 1
        node = self._roots.setdefault(family, _Node(ids[:0], [], None))
        start = 0
        while start < len(ids):
            child = node.children.get(int(ids[start]))
            if child is None:
                leaf = _Node(ids[start:].copy(), _cut(layers, start, len(ids)), node, used=self._clock)
                node.children[int(ids[start])] = leaf
                self.bytes += leaf.bytes
                break
            child.used = self._clock
            shared = _common(child.ids, ids[start:])
            if shared < len(child.ids) and start + shared < len(ids):
                _split(child, shared)
            node, start = child, start + shared
        self._shrink()

    def _path(self, family: Hashable, ids: "TokenIds") -> list[tuple[_Node, int]]:
        """Return the nodes that begin the ids, each with how many of its tokens they share."""
        path: list[tuple[_Node, int]] = []
        node, start = self._roots.get(family), 0
        while node is not None and start < len(ids):
            node = node.children.get(int(ids[start]))
            if node is None:
                break
            shared = _common(node.ids, ids[start:])
            path.append((node, shared))
            start += shared
            if shared < len(node.ids):
                break
        return path

    def _shrink(self) -> None:
        while self.bytes > self.limit_bytes:
            oldest = min((node for root in self._roots.values() for node in _leaves(root)), key=lambda node: node.used)
            assert oldest.parent is not None, "roots hold no bytes"
            del oldest.parent.children[int(oldest.ids[0])]
            self.bytes -= oldest.bytes


def _common(a: "TokenIds", b: "TokenIds") -> int:
    """Return how many of the first ids are the same."""
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n


def _cut(layers: Sequence[Layer], start: int, end: int) -> list[Layer]:
    # Cloned: a view would keep the whole of its tensor in memory.
    return [(keys[:, :, start:end].clone(), values[:, :, start:end].clone()) for keys, values in layers]


def _split(node: _Node, at: int) -> None:
    """Leave the first `at` tokens in the node and move the rest into a child of it."""
    rest = _Node(node.ids[at:], _cut(node.layers, at, len(node.ids)), node, node.children, node.used)
    for child in rest.children.values():
        child.parent = rest
    node.ids, node.layers, node.children = node.ids[:at], _cut(node.layers, 0, at), {int(rest.ids[0]): rest}


def _leaves(node: _Node) -> Iterator[_Node]:
    if node.parent is not None and not node.children:
        yield node
    for child in node.children.values():
        yield from _leaves(child)

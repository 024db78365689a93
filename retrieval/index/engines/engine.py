"""What the engines have in common: their errors, names, batches, and the form in which a passage is kept.

It talks to none of them. Only vectors are searched there; words are searched in our own index with every engine,
because each engine cuts text in its own way and the same question would find other passages (the analyser alone moves
nDCG@10 on CACM from .476 to .403). The passages go along for whoever else reads the engine.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from common.safe_text import storable
from retrieval.catalogue.rows import StoredChunk
from retrieval.errors import RetrievalError
from retrieval.index.dense import DimensionMismatch
from retrieval.store import Store
from retrieval.vectors import Vectors, unit_rows

CONNECT_S = 5
CALL_S = 60  # a call that takes longer counts as failed
EF_SEARCH = 200
BATCH = 500  # records written at once: with their texts they stay far below Milvus's 64 MB a message
ALLOWED_AT_ONCE = 5000  # numbers in one filter: Chroma's SQLite takes 32,766, and Milvus parses them as text
MAX_PLACES = 100

T = TypeVar("T")


class EngineUnavailable(RetrievalError):
    """The engine does not answer or does not let us in."""

    def __init__(self, store: Store, reason: str) -> None:
        self.store = store
        self.reason = store.scrubbed(reason)
        super().__init__(
            f"{store.shown!r} cannot be used ({self.reason}); check that it runs, its address and the login, and try "
            "again"
        )


class PackageMissing(EngineUnavailable):
    """The package that talks to the engine is not installed."""

    def __init__(self, store: Store, package: str, extra: str) -> None:
        super().__init__(store, f"the package {package} is not installed; run: pip install 'lorgnette[{extra}]'")


@dataclass(frozen=True)
class Record:
    """A passage as an engine keeps it, with the first of its places."""

    id: str
    text: str
    """Exactly `document.text[start:end]` of the file."""
    headings: tuple[str, ...]
    source: str
    """Path in the knowledge base; bytes that are no UTF-8 as \\xNN."""
    page: int | None
    start: int
    end: int
    sha256: str
    also_in: tuple[str, ...]
    """Other files that hold the same passage, the first hundred of them."""


def record_of(chunk: StoredChunk) -> Record:
    """Give the form in which an engine keeps this passage."""
    place = chunk.occurrences[0]
    others = dict.fromkeys(other.source for other in chunk.occurrences if other.source != place.source)
    return Record(
        id=chunk.id,
        text=place.text,
        headings=chunk.headings,
        source=storable(place.source),
        page=place.page,
        start=place.start,
        end=place.end,
        sha256=place.sha256,
        also_in=tuple(storable(other) for other in list(others)[:MAX_PLACES]),
    )


def engine_name(name: str) -> str:
    """Return the name of a table or collection: engines allow few characters and few of them."""
    return f"lorgnette_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def checked(vectors: Vectors, dimension: int) -> Vectors:
    """Return unit rows, (N, D); of these the inner product is the cosine.

    Raises:
        DimensionMismatch: They are of another length.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise DimensionMismatch(dimension, vectors.shape[-1])
    return unit_rows(vectors)


def records(
    numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk]
) -> list[tuple[int, Vectors, Record]]:
    """Put together what belongs together; the last of equal numbers wins, since engines refuse the same one twice."""
    assert len(numbers) == len(vectors) == len(chunks), "one vector and one passage for each number"
    rows = zip(map(int, numbers), vectors, map(record_of, chunks), strict=True)
    return list({row[0]: row for row in rows}.values())


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def best(pairs: Sequence[tuple[int, float]], top_k: int) -> list[tuple[int, float]]:
    """Return the `top_k` best numbers and cosines, equal ones by number, as `ExactIndex` does."""
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:top_k]


def as_list(vector: Vectors) -> list[float]:
    """Return a row as Python's floats."""
    return [float(x) for x in np.asarray(vector, np.float32)]

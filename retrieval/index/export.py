"""Writes a knowledge base into another engine: vectors and passages as the catalogue has them, nothing embedded anew.

It changes neither the catalogue nor the settings, and does not search.
"""

import threading
import time
from dataclasses import dataclass

from retrieval.catalogue.catalogue import Catalogue
from retrieval.errors import RetrievalError
from retrieval.index.catch_up import catch_up
from retrieval.index.dense_location import DensePlace
from retrieval.store import Store
from retrieval.sync.missing_vectors import Progress


class NothingToExport(RetrievalError):
    """The catalogue holds no vectors."""

    def __init__(self) -> None:
        super().__init__("the knowledge base holds no vectors; run `lorgnette kb sync` with an embedder, then export")


@dataclass(frozen=True)
class ExportReport:
    """What an export did."""

    store: str
    """The engine's address, without its password."""
    embedder: str
    """Fingerprint of whose vectors were written: of those that the catalogue holds, the one with most."""
    dimension: int
    written: int
    removed: int
    held: int
    """Passages in the engine afterwards."""
    without_vector: int
    """Passages left out, because nobody has embedded them yet."""
    unread: int
    """Passages left out, because the embedder does not know their language; they are found by their words."""
    generation: int
    """How far the engine has come, and the catalogue beside it."""
    wanted_generation: int
    seconds: float
    cancelled: bool
    """Whether it was stopped before its end; the next run goes on from there."""


def export(
    catalogue: Catalogue, store: Store, progress: Progress | None = None, cancel: threading.Event | None = None
) -> ExportReport:
    """Bring the engine's index of this catalogue to where the catalogue is, from wherever it stands.

    Args:
        catalogue: Of the knowledge base.
        store: Any engine but the embedded one.
        progress: Told after each page how many passages are written, and of how many.
        cancel: Set it to stop after the page at hand.

    Raises:
        NothingToExport: There are no vectors.
        EngineUnavailable: The engine does not answer, or goes away; what is written stays.
    """
    began = time.perf_counter()
    embedders = catalogue.counts().vectors
    if not embedders:
        raise NothingToExport
    embedder = max(sorted(embedders), key=lambda name: embedders[name])
    _, first = next(catalogue.vector_pages(embedder, 1))
    index = DensePlace(store, catalogue.path.parent / "projections", catalogue.identity).open(embedder, first.shape[1])
    try:
        caught_up = catch_up(catalogue, index, embedder, progress, cancel)
        return ExportReport(
            store=store.shown,
            embedder=embedder,
            dimension=first.shape[1],
            written=caught_up.written,
            removed=caught_up.removed,
            held=index.count,
            without_vector=len(catalogue.chunks_without_vector(embedder)),
            unread=sum(catalogue.unread_languages(embedder).values()),
            generation=index.generation,
            wanted_generation=catalogue.generation,
            seconds=time.perf_counter() - began,
            cancelled=not caught_up.complete,
        )
    finally:
        index.close()

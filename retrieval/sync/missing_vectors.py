"""Gives chunks their vectors, in batches that are stored one by one. It does not know where the chunks stand."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix

BATCH = 64

Progress = Callable[[str, int, int], None]
"""Called with what was done last, how many are done, and of how many."""


class Embeds(Protocol):
    """What is needed of an embedder here."""

    @property
    def fingerprint(self) -> str:
        """Name of the model and all that its vectors depend on."""

    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Embed N texts: (N, D), rows of length 1."""


def text_to_embed(headings: Sequence[str], text: str) -> str:
    """Return a chunk under its headings: they say what it is about, and its content id depends on them too."""
    return f"{' > '.join(headings)}\n{text}" if headings else text


def embed(embedder: Embeds, texts: Sequence[str], cancel: threading.Event) -> list[Matrix] | None:
    """Return the vectors of texts, (D,) each; None if `cancel` was set meanwhile."""
    vectors: list[Matrix] = []
    for i in range(0, len(texts), BATCH):
        if cancel.is_set():
            return None
        batch = texts[i : i + BATCH]
        rows = embedder.embed_documents(batch)
        assert rows.shape[0] == len(batch), "one vector a text"
        vectors.extend(rows)
    return vectors


def embed_missing(
    catalogue: Catalogue, embedder: Embeds, progress: Progress | None = None, cancel: threading.Event | None = None
) -> int:
    """Embed all chunks that have no vector of this embedder; what is done stays done if it is cancelled.

    Returns:
        How many were embedded.
    """
    missing = catalogue.chunks_without_vector(embedder.fingerprint)
    done = 0
    for i in range(0, len(missing), BATCH):
        chunks = catalogue.chunks(missing[i : i + BATCH])
        vectors = embed(embedder, [text_to_embed(c.headings, c.text) for c in chunks], cancel or threading.Event())
        if vectors is None:
            break
        catalogue.set_vectors({c.number: v for c, v in zip(chunks, vectors, strict=True)}, embedder.fingerprint)
        done += len(chunks)
        if progress:
            progress("embedding", i + len(chunks), len(missing))
    return done

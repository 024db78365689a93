"""Gives chunks their vectors, in batches that are stored one by one. It does not know where the chunks stand."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.language import UNKNOWN, language_of, sure_language_of

BATCH = 64

Progress = Callable[[str, int, int], None]
"""Called with what was done last, how many are done, and of how many."""


class Embeds(Protocol):
    """What is needed of an embedder here."""

    @property
    def fingerprint(self) -> str:
        """Name of the model and all that its vectors depend on."""

    def knows(self, text: str, language: str | None = None) -> bool:
        """Tell whether a text in that language is one that the model was trained on."""

    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Embed N texts: (N, D), rows of length 1."""


def text_to_embed(headings: Sequence[str], text: str) -> str:
    """Return a chunk under its headings: they say what it is about, and its content id depends on them too."""
    return f"{' > '.join(headings)}\n{text}" if headings else text


def unread_language(embedder: Embeds, headings: Sequence[str], text: str) -> str | None:
    """Return in which language a chunk is written that the embedder cannot read; None where it can.

    A vector of such a chunk would be noise, and take longer than all the rest of a sync.
    """
    language = sure_language_of(text)
    if embedder.knows(text_to_embed(headings, text), language):
        return None
    return language_of(text) if language == UNKNOWN else language  # it is another script, that is sure


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

    Chunks that it cannot read are noted as such, and not looked at again.

    Returns:
        How many were embedded.
    """
    missing = catalogue.chunks_without_vector(embedder.fingerprint)
    done = 0
    for i in range(0, len(missing), BATCH):
        if cancel is not None and cancel.is_set():
            break
        found = {c: unread_language(embedder, c.headings, c.text) for c in catalogue.chunks(missing[i : i + BATCH])}
        if unread := {chunk.number: language for chunk, language in found.items() if language is not None}:
            catalogue.mark_unread(unread, embedder.fingerprint)
        chunks = [chunk for chunk, language in found.items() if language is None]
        vectors = embed(embedder, [text_to_embed(c.headings, c.text) for c in chunks], cancel or threading.Event())
        if vectors is None:
            break
        if chunks:
            catalogue.set_vectors({c.number: v for c, v in zip(chunks, vectors, strict=True)}, embedder.fingerprint)
        done += len(chunks)
        if progress:
            progress("embedding", min(i + BATCH, len(missing)), len(missing))
    return done

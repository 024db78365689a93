"""The vectors that a sync stores with its chunks: made elsewhere, known, or new. It stores nothing itself.

An embedder that fails is not asked again in this sync: files are then found by their words until the next one.
"""

import threading
from collections.abc import Collection, Mapping, Sequence

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.errors import RetrievalError
from retrieval.records import Chunk
from retrieval.sync.missing_vectors import Embeds, Progress, embed, embed_missing, text_to_embed, unread_language

# A file with more is stored at once, to be found by its words, and gets its vectors after, batch by batch.
MAX_EMBEDDED_AT_ONCE = 512


class ChunkVectors:
    """The vectors of one sync."""

    def __init__(self, catalogue: Catalogue, embedder: Embeds | None, cancel: threading.Event) -> None:
        self._catalogue = catalogue
        self._embedder = embedder
        self._cancel = cancel
        self.embedded = 0
        """How many chunks were embedded."""
        self.degraded: list[str] = []
        """What is missing, in words for the user."""

    @property
    def fingerprint(self) -> str | None:
        """Of the embedder; None if there is none, or if it failed."""
        return self._embedder.fingerprint if self._embedder else None

    def embedded_ids(self, sources: Sequence[str]) -> dict[str, Collection[str]]:
        """Return the ids of files' chunks that have a vector, by source."""
        if self._embedder is None:
            return {}
        return {source: self._catalogue.embedded_ids(source, self._embedder.fingerprint) for source in sources}

    def of(self, chunks: Mapping[str, Chunk], made: Mapping[str, Matrix]) -> dict[str, Matrix] | None:
        """Return the vectors of chunks by id, `made` or known ones first; None if the sync was cancelled meanwhile.

        Known ones are given back to the catalogue too: by the time this file is stored, the file that held the same
        chunk may have lost it. Chunks that the embedder cannot read get none.
        """
        if not self._embedder or not chunks:
            return {}
        vectors = {**made, **self._catalogue.vectors_by_id(chunks, self._embedder.fingerprint)}
        embedder = self._embedder
        missing = [
            chunk
            for chunk in chunks.values()
            if chunk.id not in vectors and unread_language(embedder, chunk.headings, chunk.text) is None
        ]
        if len(missing) > MAX_EMBEDDED_AT_ONCE:
            return vectors
        try:
            new = embed(embedder, [text_to_embed(c.headings, c.text) for c in missing], self._cancel)
        except RetrievalError as error:
            self.give_up(str(error))
            return {}
        if new is None:
            return None
        self.embedded += len(missing)
        return vectors | {chunk.id: vector for chunk, vector in zip(missing, new, strict=True)}

    def embed_missing(self, progress: Progress) -> None:
        """Embed the stored chunks that have no vector."""
        if self._embedder:
            try:
                self.embedded += embed_missing(self._catalogue, self._embedder, progress, self._cancel)
            except RetrievalError as error:
                self.give_up(str(error))

    def give_up(self, reason: str) -> None:
        """Go on without vectors, unless that was done before."""
        if self._embedder is not None:
            self.degraded.append(f"found by words only until the next sync: {reason}")
            self._embedder = None

"""The dense projection: nearest vectors by cosine, on Chroma or exactly with numpy.

Computes no vectors and knows no passage, only numbers. Chroma's embedded form is silently corrupted by a second process
(chroma-core/chroma issue 3792): who opens `ChromaIndex` must hold the knowledge base's lock.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from retrieval.catalogue.rows import StoredChunk
from retrieval.errors import RetrievalError
from retrieval.index.projection import ProjectionDamaged, damage_translated, read_generation, write_generation
from retrieval.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

EF_SEARCH = 200
"""Candidates that HNSW keeps: recall@100 over MiniLM vectors is .984 at Chroma's 100 and .997 here, for 0.15 ms."""
_PAGE = 5000
"""Records asked for at once: above 32,766 Chroma fails with "too many SQL variables"."""
_SELF_FOUND = 0.999


class DimensionMismatch(RetrievalError):
    """The vectors come from another embedder than the index's."""

    def __init__(self, expected: int, given: int) -> None:
        self.expected = expected
        self.given = given
        super().__init__(
            f"the index holds vectors of {expected!r} dimensions, given were {given!r}: the embedder has changed; run"
            " `lorgnette kb sync` to embed anew"
        )


class DenseIndex(Protocol):
    """Finds passages by their vectors. Letters: N passages, D dimensions."""

    @property
    def keeps_passages(self) -> bool:
        """Whether `add` must be given the passages too."""

    @property
    def generation(self) -> int:
        """Up to which generation of the catalogue it has come."""

    @property
    def count(self) -> int:
        """How many passages it holds."""

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""

    def commit(self, generation: int) -> None:
        """Make what was added and removed durable and visible."""

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; the vector is (D,)."""

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""

    def close(self) -> None:
        """Let go of files and locks."""


class ChromaIndex:
    """A dense index in a folder, approximate (HNSW) unless the search is filtered."""

    keeps_passages = False

    def __init__(self, folder: Path, name: str, dimension: int) -> None:
        """Open the collection in the folder, or begin an empty one.

        Args:
            folder: Of this index alone.
            name: Whatever tells apart what may not be mixed, such as the knowledge base and the embedder's fingerprint.
            dimension: D.

        Raises:
            ProjectionDamaged: If what lies there is broken, or belongs to another name or dimension.
        """
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        self._folder = folder
        self._dimension = dimension
        self._made_by = f"{name}, {dimension} dimensions"
        folder.mkdir(parents=True, exist_ok=True)
        generation = read_generation(folder, self._made_by)
        begun = (folder / "chroma.sqlite3").exists()
        if begun != (generation is not None):
            raise ProjectionDamaged(folder, "index or generation is missing")
        with self._translated(), ExitStack() as on_failure:
            # Chroma keeps what runs in a folder, even what failed to start: the next one here would get its ruins.
            on_failure.callback(SharedSystemClient.clear_system_cache)
            settings = Settings(anonymized_telemetry=False)
            # The declared type lacks close().
            self._client = cast("Client", chromadb.PersistentClient(folder, settings))
            on_failure.pop_all()
            on_failure.callback(self._client.close)
            self._open(name, new=not begun)
            on_failure.pop_all()
        if generation is None:
            write_generation(folder, self._made_by, 0)
        self._generation = generation or 0

    @property
    def generation(self) -> int:
        """Up to which generation of the catalogue it has come."""
        return self._generation

    @property
    def count(self) -> int:
        """How many passages it holds."""
        with self._translated():
            return self._collection.count()

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""
        rows = _checked(vectors, len(numbers), self._dimension)
        step = min(_PAGE, self._client.get_max_batch_size())
        with self._translated():
            for start in range(0, len(numbers), step):
                ids = [str(number) for number in numbers[start : start + step]]
                self._collection.upsert(ids=ids, embeddings=rows[start : start + step])

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        step = min(_PAGE, self._client.get_max_batch_size())
        with self._translated():
            for start in range(0, len(numbers), step):
                self._collection.delete(ids=[str(number) for number in numbers[start : start + step]])

    def commit(self, generation: int) -> None:
        """Note the generation; Chroma has already made durable what was added and removed."""
        write_generation(self._folder, self._made_by, generation)
        self._generation = generation

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; the vector is (D,)."""
        query = _checked(vector[None], 1, self._dimension)
        if allowed is not None:
            return self._search_exactly(query[0], top_k, sorted(allowed))
        with self._translated():
            found = self._collection.query(query_embeddings=query, n_results=top_k, include=["distances"])
        distances = found["distances"]
        assert distances is not None, "distances were asked for"
        pairs = zip(map(int, found["ids"][0]), (1.0 - float(d) for d in distances[0]), strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        offset = 0
        while True:
            with self._translated():
                page = self._collection.get(limit=_PAGE, offset=offset, include=[])["ids"]
            yield from map(int, page)
            offset += _PAGE
            if len(page) < _PAGE:
                return

    def close(self) -> None:
        """Let go of the files; the folder may then be deleted or opened again."""
        self._client.close()

    def _open(self, name: str, *, new: bool) -> None:
        # Chroma allows few characters in names; the readable one is kept beside the data.
        hashed = "kb-" + hashlib.sha256(name.encode()).hexdigest()[:32]
        if new:
            self._collection: Collection = self._client.create_collection(
                hashed,
                embedding_function=None,  # else Chroma would try to download one
                metadata={"name": name},
                configuration={"hnsw": {"space": "cosine", "ef_search": EF_SEARCH}},
            )
            return
        self._collection = self._client.get_collection(hashed, embedding_function=None)
        # Chroma opens without its graph files, and then finds only what it had not yet put into them.
        for offset in {0, self._collection.count() - 1}:
            record = self._collection.get(limit=1, offset=max(0, offset), include=["embeddings"])
            if record["ids"]:
                nearest = self.search(np.asarray(record["embeddings"], np.float32)[0], 1)
                if not nearest or nearest[0][1] < _SELF_FOUND:
                    raise ProjectionDamaged(self._folder, f"passage {record['ids'][0]} is not found by its own vector")

    def _search_exactly(self, query: Vectors, top_k: int, allowed: list[int]) -> list[tuple[int, float]]:
        exact = ExactIndex(self._dimension)
        for start in range(0, len(allowed), _PAGE):
            ids = [str(number) for number in allowed[start : start + _PAGE]]
            with self._translated():
                page = self._collection.get(ids=ids, include=["embeddings"])
            if page["ids"]:
                exact.add([int(number) for number in page["ids"]], np.asarray(page["embeddings"], np.float32))
        return exact.search(query, top_k)

    def _translated(self) -> AbstractContextManager[None]:
        from chromadb.errors import InternalError, InvalidDimensionException, NotFoundError

        return damage_translated(self._folder, InternalError, NotFoundError, InvalidDimensionException)


class ExactIndex:
    """A dense index in memory that compares with every vector: for filters, for repairs, and to judge the other by."""

    keeps_passages = False

    def __init__(self, dimension: int) -> None:
        self.generation = 0
        self._vectors: Vectors = np.zeros((0, dimension), np.float32)
        self._numbers = np.zeros(0, np.int64)  # (N,), ascending

    @property
    def count(self) -> int:
        """How many passages it holds."""
        return len(self._numbers)

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""
        rows = _checked(vectors, len(numbers), self._vectors.shape[1])
        self.remove(numbers)
        unsorted = np.concatenate([self._numbers, np.asarray(numbers, np.int64)])
        # The last of equal numbers in one call wins.
        reversed_numbers, places = np.unique(unsorted[::-1], return_index=True)
        self._vectors = np.concatenate([self._vectors, rows])[::-1][places]
        self._numbers = reversed_numbers

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        staying = ~np.isin(self._numbers, np.asarray(numbers, np.int64))
        self._numbers, self._vectors = self._numbers[staying], self._vectors[staying]

    def commit(self, generation: int) -> None:
        """Note the generation; changes are visible at once."""
        self.generation = generation

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; the vector is (D,)."""
        query = _checked(vector[None], 1, self._vectors.shape[1])[0]
        numbers, vectors = self._numbers, self._vectors
        if allowed is not None:
            rows = np.isin(numbers, np.fromiter(allowed, np.int64, len(allowed)))
            numbers, vectors = numbers[rows], vectors[rows]
        cosines = vectors @ query  # (N,)
        best = np.lexsort((numbers, -cosines))[:top_k]
        return [(int(numbers[row]), float(cosines[row])) for row in best]

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        yield from map(int, self._numbers)

    def close(self) -> None:
        """Do nothing: it holds no files."""


def _checked(vectors: Vectors, count: int, dimension: int) -> Any:
    """Return unit rows, (N, D), or raise."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise DimensionMismatch(dimension, vectors.shape[-1])
    assert len(vectors) == count, "one vector for each number"
    return unit_rows(vectors)

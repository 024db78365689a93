"""The dense index on a Chroma server; unlike the embedded one it may have several writers."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import chromadb
import httpx
import numpy as np
from chromadb.api import ClientAPI
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError

from retrieval.catalogue.rows import StoredChunk
from retrieval.index.engines.engine import (
    ALLOWED_AT_ONCE,
    BATCH,
    CALL_S,
    CONNECT_S,
    EF_SEARCH,
    EngineUnavailable,
    Record,
    batches,
    best,
    checked,
    engine_name,
    records,
)
from retrieval.index.projection import ProjectionDamaged
from retrieval.store import Store
from retrieval.vectors import Vectors

_PAGE = 5000
FILTERED = 4
"""How many times more a filtered query asks for: its graph loses up to 2 % of 100 where a third is allowed, so none."""


class ChromaServerIndex:
    """One collection of the server; its metadata hold the generation."""

    keeps_passages = True

    def __init__(self, store: Store, name: str, dimension: int) -> None:
        """Open the collection, or begin an empty one; see `open_engine`."""
        self._store, self._dimension = store, dimension
        self._made_by = f"{name}, {dimension} dimensions"
        with _translated(store):
            self._client = _connect(store)
            try:
                self._collection = self._client.get_collection(engine_name(name), embedding_function=None)
            except NotFoundError:
                self._collection = self._client.create_collection(
                    engine_name(name),
                    embedding_function=None,  # else Chroma would try to download one
                    metadata={"made_by": self._made_by, "generation": 0},
                    configuration={"hnsw": {"space": "cosine", "ef_search": EF_SEARCH}},
                )
        metadata = self._collection.metadata or {}
        if metadata.get("made_by") != self._made_by:
            self.close()
            raise ProjectionDamaged(store.shown, f"made by {metadata.get('made_by')!r}, needed is {self._made_by!r}")
        self._generation = int(metadata["generation"])

    @property
    def generation(self) -> int:
        """Up to which generation of the catalogue it has come."""
        return self._generation

    @property
    def count(self) -> int:
        """How many passages it holds."""
        with _translated(self._store):
            return self._collection.count()

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""
        rows = checked(vectors, self._dimension)
        with _translated(self._store):
            for batch in batches(records(numbers, rows, chunks), BATCH):
                self._collection.upsert(
                    ids=[str(number) for number, _, _ in batch],
                    embeddings=np.stack([vector for _, vector, _ in batch]),
                    documents=[record.text for _, _, record in batch],
                    metadatas=[_metadata(number, record) for number, _, record in batch],
                )

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        with _translated(self._store):
            for batch in batches(numbers, ALLOWED_AT_ONCE):
                self._collection.delete(ids=[str(number) for number in batch])

    def commit(self, generation: int) -> None:
        """Note the generation; the server has already made durable what was added and removed."""
        with _translated(self._store):
            self._collection.modify(metadata={"made_by": self._made_by, "generation": generation})
        self._generation = generation

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; the vector is (D,)."""
        query = checked(vector[None], self._dimension)
        if allowed is None:
            return best(self._query(query, top_k, None), top_k)
        pairs: list[tuple[int, float]] = []
        for batch in batches(sorted(allowed), ALLOWED_AT_ONCE):
            # Not ids=: one that is not there makes the whole query fail ("Error finding id").
            pairs += self._query(query, FILTERED * top_k, {"number": {"$in": list(batch)}})
        return best(pairs, top_k)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        offset = 0
        while True:
            with _translated(self._store):
                page = self._collection.get(limit=_PAGE, offset=offset, include=[])["ids"]
            yield from map(int, page)
            offset += _PAGE
            if len(page) < _PAGE:
                return

    def close(self) -> None:
        """Let go of the connection."""
        _close(self._client)

    def _query(self, query: Vectors, top_k: int, where: Any) -> list[tuple[int, float]]:
        with _translated(self._store):
            found = self._collection.query(query_embeddings=query, n_results=top_k, where=where, include=["distances"])
        distances = found["distances"]
        assert distances is not None, "distances were asked for"
        return [(int(i), 1.0 - float(d)) for i, d in zip(found["ids"][0], distances[0], strict=True)]


def open_index(store: Store, name: str, dimension: int) -> ChromaServerIndex:
    """Open the index; see `open_engine`."""
    return ChromaServerIndex(store, name, dimension)


def discard(store: Store, name: str) -> None:
    """Remove the index, if it is there."""
    with _translated(store):
        client = _connect(store)
        try:
            client.delete_collection(engine_name(name))
        except NotFoundError:
            pass
        finally:
            _close(client)


def _connect(store: Store) -> ClientAPI:
    parts = urlsplit(store.url)
    headers = {}
    if parts.password is not None:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    secure, host, port = parts.scheme.lower() == "chroma+https", parts.hostname or "localhost", parts.port or 8000
    # Chroma sets no time limit and offers no setting: a server that hangs would hang every search.
    timeout = httpx.Timeout(CALL_S, connect=CONNECT_S)
    shown = f"[{host}]" if ":" in host else host
    address = f"{'https' if secure else 'http'}://{shown}:{port}/api/v2/heartbeat"
    httpx.get(address, headers=headers, timeout=timeout).raise_for_status()
    settings = Settings(anonymized_telemetry=False)
    try:
        client = chromadb.HttpClient(host=host, port=port, ssl=secure, headers=headers, settings=settings)
    except (ValueError, KeyError) as error:  # what Chroma raises where somebody else answers
        raise EngineUnavailable(store, str(error)) from None
    for session in _sessions(client):
        session.timeout = timeout
    return client


def _close(client: ClientAPI) -> None:
    for session in _sessions(client):  # which Chroma leaves open
        session.close()
    client.close()  # type: ignore[attr-defined]


def _sessions(client: ClientAPI) -> list[httpx.Client]:
    return [each._server._session for each in (client, client._admin_client)]  # type: ignore[attr-defined, union-attr]


def _metadata(number: int, record: Record) -> dict[str, str | int]:
    return {
        "number": number,
        "chunk": record.id,
        "source": record.source,
        "page": record.page or 0,  # an absent key would leave the old value in place
        "start": record.start,
        "end": record.end,
        "headings": json.dumps(record.headings, ensure_ascii=False),
        "sha256": record.sha256,
        "also_in": json.dumps(record.also_in, ensure_ascii=False),
    }


@contextmanager
def _translated(store: Store) -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise ProjectionDamaged(store.shown, store.scrubbed(str(error))) from error
    except (ChromaError, httpx.HTTPError) as error:
        raise EngineUnavailable(store, f"{type(error).__name__}: {error}") from None
    except Exception as error:
        if type(error) is not Exception:  # which is what Chroma raises for an answer that it does not know
            raise
        raise EngineUnavailable(store, str(error)[:200]) from None

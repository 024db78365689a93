"""The dense index on Milvus: a server, or a file of milvus-lite, which one process at a time may open."""

import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import grpc
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from retrieval.catalogue.rows import StoredChunk
from retrieval.index.engines.engine import (
    ALLOWED_AT_ONCE,
    BATCH,
    CALL_S,
    CONNECT_S,
    EF_SEARCH,
    EngineUnavailable,
    Record,
    as_list,
    batches,
    best,
    checked,
    engine_name,
    records,
)
from retrieval.index.projection import ProjectionDamaged
from retrieval.store import Store
from retrieval.vectors import Vectors

STATES = "lorgnette_indexes"
_TEXT_BYTES, _PATH_BYTES = 65_535, 16_384  # Milvus counts bytes, and takes no longer text
_PAGE = 5000
_ABSENT = re.compile(r"collection .*not (found|exist)|can't find collection", re.IGNORECASE)

# They log each refused call with its traceback before they raise it, even one that the client then does without.
for _name in ("pymilvus", "milvus_lite", "grpc._server"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_opening = threading.Lock()
_files: Counter[str] = Counter()  # milvus-lite serves a file to the whole process until it is told to stop


class MilvusIndex:
    """One collection; its generation lies in a collection of states."""

    keeps_passages = True

    def __init__(self, store: Store, name: str, dimension: int) -> None:
        """Open the collection, or begin an empty one; see `open_engine`."""
        self._store, self._dimension, self._name = store, dimension, engine_name(name)
        self._made_by = f"{name}, {dimension} dimensions"
        self._client = _connect(store)
        try:
            with _translated(store):
                self._generation = self._open()
        except BaseException:
            self.close()
            raise

    @property
    def generation(self) -> int:
        """Up to which generation of the catalogue it has come."""
        return self._generation

    @property
    def count(self) -> int:
        """How many passages it holds."""
        with _translated(self._store):
            # Not the statistics: these count removed ones until segments are merged.
            rows = self._client.query(self._name, filter="", output_fields=["count(*)"], timeout=CALL_S)
        return int(rows[0]["count(*)"])

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""
        rows = checked(vectors, self._dimension)
        with _translated(self._store):
            for batch in batches(records(numbers, rows, chunks), BATCH):
                self._client.upsert(self._name, [_row(*record) for record in batch], timeout=CALL_S)

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        with _translated(self._store):
            for batch in batches(numbers, ALLOWED_AT_ONCE):
                self._client.delete(self._name, ids=[int(number) for number in batch], timeout=CALL_S)

    def commit(self, generation: int) -> None:
        """Note the generation; what was added and removed is in Milvus's log already."""
        with _translated(self._store):
            self._note(generation)
        self._generation = generation

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; the vector is (D,)."""
        query = as_list(checked(vector[None], self._dimension)[0])
        if allowed is None:
            return best(self._search(query, top_k, ""), top_k)
        pairs: list[tuple[int, float]] = []
        for batch in batches(sorted(allowed), ALLOWED_AT_ONCE):
            pairs += self._search(query, top_k, f"number in {list(batch)}")
        return best(pairs, top_k)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        with _translated(self._store):
            pages = self._client.query_iterator(
                self._name, batch_size=_PAGE, filter="number >= 0", output_fields=["number"], timeout=CALL_S
            )
        try:
            while True:
                with _translated(self._store):
                    page = pages.next()
                if not page:
                    return
                yield from (int(row["number"]) for row in page)
        finally:
            pages.close()

    def close(self) -> None:
        """Let go of the connection, and of the file where there is one."""
        _close(self._store, self._client)

    def _open(self) -> int:
        client = self._client
        if not client.has_collection(STATES, timeout=CALL_S):
            _create_states(client)
        client.load_collection(STATES, timeout=CALL_S)
        found = client.get(STATES, ids=[self._name], output_fields=["made_by", "generation"], timeout=CALL_S)
        exists = client.has_collection(self._name, timeout=CALL_S)
        if exists != bool(found):
            raise ProjectionDamaged(self._store.shown, "index or generation is missing")
        if found and found[0]["made_by"] != self._made_by:
            raise ProjectionDamaged(self._store.shown, f"made by {found[0]['made_by']!r}, not {self._made_by!r}")
        if not exists:
            _create(client, self._name, self._dimension, exact=_file_of(self._store) is not None)
            self._note(0)
        client.load_collection(self._name, timeout=CALL_S)
        return int(found[0]["generation"]) if found else 0

    def _note(self, generation: int) -> None:
        state = {"name": self._name, "made_by": self._made_by, "generation": generation, "unused": [0.0, 1.0]}
        self._client.upsert(STATES, [state], timeout=CALL_S)

    def _params(self, top_k: int) -> dict[str, int]:
        return {} if _file_of(self._store) is not None else {"ef": max(EF_SEARCH, top_k)}

    def _search(self, query: list[float], top_k: int, condition: str) -> list[tuple[int, float]]:
        with _translated(self._store):
            (hits,) = self._client.search(
                self._name,
                data=[query],
                anns_field="vector",
                limit=top_k,
                filter=condition,
                output_fields=["number"],
                search_params={"metric_type": "COSINE", "params": self._params(top_k)},
                timeout=CALL_S,
            )
        # Milvus calls it a distance, but of COSINE it is the cosine itself.
        return [(int(hit["number"]), float(hit["distance"])) for hit in hits]


def open_index(store: Store, name: str, dimension: int) -> MilvusIndex:
    """Open the index; see `open_engine`."""
    return MilvusIndex(store, name, dimension)


def discard(store: Store, name: str) -> None:
    """Remove the index, if it is there."""
    client = _connect(store)
    try:
        with _translated(store):
            if client.has_collection(engine_name(name), timeout=CALL_S):
                client.drop_collection(engine_name(name), timeout=CALL_S)
            if client.has_collection(STATES, timeout=CALL_S):
                client.delete(STATES, ids=[engine_name(name)], timeout=CALL_S)
    finally:
        _close(store, client)


def _file_of(store: Store) -> Path | None:
    parts = urlsplit(store.url)
    return Path(url2pathname(parts.path)) if parts.scheme.lower() == "milvus" else None


def _connect(store: Store) -> MilvusClient:
    file, parts = _file_of(store), urlsplit(store.url)
    with _opening, _translated(store):
        if file is None:
            scheme = parts.scheme.lower().removeprefix("milvus+")
            return MilvusClient(
                f"{scheme}://{parts.hostname}:{parts.port or 19530}",
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                db_name=parts.path.strip("/"),
                timeout=CONNECT_S,
            )
        if not file.parent.is_dir():
            raise EngineUnavailable(store, f"there is no folder {str(file.parent)!r}")
        try:
            client = MilvusClient(str(file))
        except MilvusException as error:
            reason = f"{error.message}: another process has the file open, or it cannot be written"
            raise EngineUnavailable(store, reason) from error
        _files[str(file)] += 1
        return client


def _close(store: Store, client: MilvusClient) -> None:
    client.close()
    file = _file_of(store)
    if file is None:
        return
    from milvus_lite.server_manager import server_manager_instance

    with _opening:
        _files[str(file)] -= 1
        if not _files[str(file)]:
            del _files[str(file)]
            server_manager_instance.release_server(str(file))


def _create(client: MilvusClient, name: str, dimension: int, *, exact: bool) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("number", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("chunk", DataType.VARCHAR, max_length=64)
    schema.add_field("text", DataType.VARCHAR, max_length=_TEXT_BYTES)
    schema.add_field("source", DataType.VARCHAR, max_length=_PATH_BYTES)
    for field in ("page", "start", "end"):
        schema.add_field(field, DataType.INT64)
    schema.add_field("sha256", DataType.VARCHAR, max_length=64)
    schema.add_field("more", DataType.JSON)
    index = client.prepare_index_params()
    # milvus-lite's graph finds under a filter a third of what it should; a server compares one by one where few are
    # allowed.
    kind: dict[str, Any] = {"index_type": "HNSW", "params": {"M": 16, "efConstruction": EF_SEARCH}}
    index.add_index("vector", metric_type="COSINE", **({"index_type": "FLAT"} if exact else kind))
    # Strong: a search sees what was committed before it.
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong", timeout=CALL_S)


def _create_states(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("name", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("made_by", DataType.VARCHAR, max_length=4096)
    schema.add_field("generation", DataType.INT64)
    schema.add_field("unused", DataType.FLOAT_VECTOR, dim=2)  # Milvus makes no collection without vectors
    index = client.prepare_index_params()
    index.add_index("unused", index_type="FLAT", metric_type="COSINE")
    client.create_collection(STATES, schema=schema, index_params=index, consistency_level="Strong", timeout=CALL_S)


def _row(number: int, vector: Vectors, record: Record) -> dict[str, Any]:
    more: dict[str, Any] = {"headings": list(record.headings), "also_in": list(record.also_in)}
    text = _cut(record.text, _TEXT_BYTES)
    if text != record.text:
        more["text_is_cut"] = True
    if len(json.dumps(more, ensure_ascii=False).encode()) > _TEXT_BYTES:
        more["also_in"] = []
    return {
        "number": number,
        "vector": as_list(vector),
        "chunk": record.id,
        "text": text,
        "source": _cut(record.source, _PATH_BYTES),
        "page": record.page or 0,
        "start": record.start,
        "end": record.end,
        "sha256": record.sha256,
        "more": more,
    }


def _cut(text: str, size: int) -> str:
    return text if len(text) * 4 <= size else text.encode()[:size].decode("utf-8", "ignore")


@contextmanager
def _translated(store: Store) -> Iterator[None]:
    try:
        yield
    except MilvusException as error:
        if _ABSENT.search(error.message):
            raise ProjectionDamaged(store.shown, store.scrubbed(error.message)) from error
        raise EngineUnavailable(store, error.message) from None
    except grpc.RpcError as error:
        raise EngineUnavailable(store, str(error)) from None

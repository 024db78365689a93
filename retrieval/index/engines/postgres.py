"""The dense index in PostgreSQL with pgvector: vectors, passages and generation in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql

from retrieval.catalogue.rows import StoredChunk
from retrieval.index.engines.engine import (
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

PGVECTOR = (0, 8)  # since which its index goes on where removed rows leave it with too few
HNSW_DIMENSIONS = 2000  # pgvector indexes no longer ones; these are then compared one by one
_PAGE = 10_000

_TABLES = """
    CREATE TABLE IF NOT EXISTS lorgnette_indexes
        (name text PRIMARY KEY, made_by text NOT NULL, generation bigint NOT NULL);
    CREATE TABLE {table} (
        number bigint PRIMARY KEY, vector vector({dimension}) NOT NULL, chunk text NOT NULL, text text NOT NULL,
        source text NOT NULL, page integer, char_start bigint NOT NULL, char_end bigint NOT NULL,
        headings text[] NOT NULL, sha256 text NOT NULL, also_in text[] NOT NULL);
"""
# Rows are of length 1, so that the inner product is the cosine; `<#>` gives it negative.
_HNSW = "CREATE INDEX ON {table} USING hnsw (vector vector_ip_ops)"
_UPSERT = """
    INSERT INTO {table} VALUES (%s, %s::vector, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (number) DO UPDATE SET
        (vector, chunk, text, source, page, char_start, char_end, headings, sha256, also_in) =
        (excluded.vector, excluded.chunk, excluded.text, excluded.source, excluded.page, excluded.char_start,
         excluded.char_end, excluded.headings, excluded.sha256, excluded.also_in)
"""
_STATE = """
    INSERT INTO lorgnette_indexes VALUES (%s, %s, %s)
    ON CONFLICT (name) DO UPDATE SET made_by = excluded.made_by, generation = excluded.generation
"""
_NEAREST = (
    "SELECT number, -(vector <#> %(query)s::vector) FROM {table} ORDER BY vector <#> %(query)s::vector LIMIT %(k)s"
)
# Computed before it is ordered: the index would take its nearest first and then leave out what is not allowed.
_EXACT = """
    WITH wanted AS MATERIALIZED (
        SELECT number, -(vector <#> %(query)s::vector) AS cosine FROM {table}
        WHERE %(allowed)s::bigint[] IS NULL OR number = ANY(%(allowed)s::bigint[]))
    SELECT number, cosine FROM wanted ORDER BY cosine DESC, number LIMIT %(k)s
"""


class PostgresIndex:
    """One table, written in transactions that end with `commit` and read through a connection of its own."""

    keeps_passages = True

    def __init__(self, store: Store, name: str, dimension: int) -> None:
        """Open the table, or begin an empty one; see `open_engine`."""
        self._store, self._dimension = store, dimension
        self._name = engine_name(name)
        self._made_by = f"{name}, {dimension} dimensions"
        self._writer: psycopg.Connection[Any] | None = None
        self._reader: psycopg.Connection[Any] | None = None
        try:
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
        return int(self._read("SELECT count(*) FROM {table}")[0][0])

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        """Add passages, (N, D); one whose number is there already is replaced."""
        rows = checked(vectors, self._dimension)
        with self._writing() as connection, connection.cursor() as cursor:
            for batch in batches(records(numbers, rows, chunks), BATCH):
                cursor.executemany(self._query(_UPSERT), [_row(*record) for record in batch])

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        with self._writing() as connection:
            connection.execute(self._query("DELETE FROM {table} WHERE number = ANY(%s)"), [[int(n) for n in numbers]])

    def commit(self, generation: int) -> None:
        """Make what was added and removed durable and visible, together with the generation."""
        with self._writing() as connection:
            connection.execute(_STATE, [self._name, self._made_by, generation])
            connection.commit()
        self._generation = generation

    def search(self, vector: Vectors, top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and cosines, nearest first, of passages among the allowed; exact where these are given."""
        query = _text(checked(vector[None], self._dimension)[0])
        values = {"query": query, "k": top_k, "allowed": None if allowed is None else sorted(allowed)}
        # The index gives no more than it keeps candidates.
        near = allowed is None and top_k <= EF_SEARCH
        rows = self._read(_NEAREST if near else _EXACT, values)
        return best([(int(number), float(cosine)) for number, cosine in rows], top_k)

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        last = -1
        while True:
            query = "SELECT number FROM {table} WHERE number > %s ORDER BY number LIMIT %s"
            page = [int(number) for (number,) in self._read(query, [last, _PAGE])]
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]

    def close(self) -> None:
        """Let go of the connections; what was not committed is lost."""
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def _open(self) -> int:
        with self._writing() as connection:
            _check_pgvector(self._store, connection)
            states, table = (
                connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()[0]  # type: ignore[index]
                for name in ("lorgnette_indexes", self._name)
            )
            query = "SELECT made_by, generation FROM lorgnette_indexes WHERE name = %s"
            state = connection.execute(query, [self._name]).fetchone() if states else None
            if table != (state is not None):
                raise ProjectionDamaged(self._store.shown, "index or generation is missing")
            if state is not None and state[0] != self._made_by:
                raise ProjectionDamaged(self._store.shown, f"made by {state[0]!r}, needed is {self._made_by!r}")
            if state is None:
                connection.execute(self._query(_TABLES))
                if self._dimension <= HNSW_DIMENSIONS:
                    connection.execute(self._query(_HNSW))
                connection.execute(_STATE, [self._name, self._made_by, 0])
            connection.commit()
        return int(state[1]) if state else 0

    def _query(self, text: LiteralString) -> sql.Composed:
        return sql.SQL(text).format(table=sql.Identifier(self._name), dimension=sql.Literal(self._dimension))

    def _read(self, text: LiteralString, values: Any = None) -> list[tuple[Any, ...]]:
        with self._translated():
            if self._reader is None:
                self._reader = _connect(self._store, autocommit=True)
                self._reader.execute(sql.SQL("SET hnsw.ef_search = {}").format(EF_SEARCH))
                # Else rows that were removed, but not yet vacuumed, are missing at the end.
                self._reader.execute("SET hnsw.iterative_scan = strict_order")
            return self._reader.execute(self._query(text), values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Connection[Any]]:
        with self._translated():
            if self._writer is None:
                self._writer = _connect(self._store, autocommit=False)
            yield self._writer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with _translated(self._store):
                yield
        except (EngineUnavailable, ProjectionDamaged):
            self.close()  # the next call connects anew, and nothing half is ever committed
            raise


def open_index(store: Store, name: str, dimension: int) -> PostgresIndex:
    """Open the index; see `open_engine`."""
    return PostgresIndex(store, name, dimension)


def discard(store: Store, name: str) -> None:
    """Remove the index, if it is there."""
    with _translated(store), _connect(store, autocommit=False) as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(engine_name(name))))
        if connection.execute("SELECT to_regclass('lorgnette_indexes') IS NOT NULL").fetchone() == (True,):
            connection.execute("DELETE FROM lorgnette_indexes WHERE name = %s", [engine_name(name)])


def _connect(store: Store, *, autocommit: bool) -> psycopg.Connection[Any]:
    return psycopg.connect(
        store.url,
        autocommit=autocommit,
        connect_timeout=CONNECT_S,
        tcp_user_timeout=CALL_S * 1000,  # a server that vanished is not waited for
        application_name="lorgnette",
    )


def _check_pgvector(store: Store, connection: psycopg.Connection[Any]) -> None:
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    found = connection.execute(query).fetchone()
    if found is None:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        found = connection.execute(query).fetchone()
    assert found is not None, "it was created, or an error raised"
    if tuple(int(part) for part in found[0].split(".")[:2]) < PGVECTOR:
        raise EngineUnavailable(store, f"its pgvector is {found[0]}, needed is {'.'.join(map(str, PGVECTOR))}")


def _row(number: int, vector: Vectors, record: Record) -> tuple[Any, ...]:
    return (
        *(number, _text(vector), record.id, _clean(record.text), _clean(record.source), record.page, record.start),
        *(record.end, [_clean(h) for h in record.headings], record.sha256, [_clean(path) for path in record.also_in]),
    )


def _text(vector: Vectors) -> str:
    return f"[{','.join(f'{x:.9g}' for x in vector.tolist())}]"


def _clean(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # the one character that PostgreSQL's text cannot hold


@contextmanager
def _translated(store: Store) -> Iterator[None]:
    try:
        yield
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise ProjectionDamaged(store.shown, store.scrubbed(str(error))) from error
    except psycopg.Error as error:
        raise EngineUnavailable(store, str(error)) from None

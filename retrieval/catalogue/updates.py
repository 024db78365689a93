"""Changes of the catalogue within a transaction that the caller holds. It begins and ends none."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from retrieval.catalogue.queries import FILE
from retrieval.catalogue.rows import FileRow, Matrix
from retrieval.records import Chunk


def write_row(db: sqlite3.Connection, row: FileRow, generation: int) -> int:
    """Insert or replace a row of `files` and give its id."""
    values = (
        os.fsencode(row.source),
        *(row.sha256, row.size, row.mtime_ns, row.state, row.reason, row.media_type, row.codec, row.confidence),
        *(row.title, json.dumps(row.notes), row.recipe, row.recheck, row.indexed_at, generation),
    )
    columns = [name.strip() for name in FILE.split(",")]
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    (file,) = db.execute(
        f"INSERT INTO files ({FILE}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT (path) DO UPDATE SET {updates} RETURNING id",
        values,
    ).fetchone()
    return int(file)


def write_chunks(db: sqlite3.Connection, chunks: Sequence[Chunk], generation: int) -> dict[str, tuple[int, str]]:
    """Store what is new and give number and stored text of all, by content id."""
    distinct = {chunk.id: chunk for chunk in reversed(chunks)}
    db.executemany(
        "INSERT INTO chunks (id, text, headings, generation) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        [(c.id, c.text, json.dumps(c.headings), generation) for c in reversed(distinct.values())],
    )
    rows = db.execute(
        "SELECT c.id, c.number, c.text FROM json_each(?) j JOIN chunks c ON c.id = j.value",
        (json.dumps(list(distinct)),),
    )
    return {id: (number, text) for id, number, text in rows}


def write_vectors(db: sqlite3.Connection, vectors: Mapping[int, Matrix], embedder: str, generation: int) -> None:
    """Store vectors by chunk number where the chunk exists and has none of this embedder."""
    for number, vector in vectors.items():
        assert vector.ndim == 1 and np.isfinite(vector).all(), "a vector is a row of finite numbers"
        written = db.execute(
            "INSERT INTO vectors SELECT number, ?2, ?3 FROM chunks WHERE number = ?1 "
            "ON CONFLICT (number) DO UPDATE SET embedder = excluded.embedder, vector = excluded.vector "
            "WHERE embedder <> excluded.embedder",
            (number, embedder, vector.astype("<f4").tobytes()),
        )
        if written.rowcount:
            db.execute("UPDATE chunks SET generation = ? WHERE number = ?", (generation, number))


def remove(db: sqlite3.Connection, sources: Iterable[str], generation: int) -> None:
    """Delete files and those chunks that stood in them alone."""
    for source in sources:
        path = (os.fsencode(source),)
        held = "SELECT DISTINCT number FROM spans JOIN files ON files.id = spans.file WHERE path = ?"
        numbers = [number for (number,) in db.execute(held, path)]
        # The spans go with it.
        db.execute("DELETE FROM files WHERE path = ?", path)
        bury(db, numbers, generation)


def bury(db: sqlite3.Connection, numbers: Sequence[int], generation: int) -> None:
    """Delete those of the chunks, which have lost a place, that no longer stand anywhere; remember their numbers."""
    for number in numbers:
        gone = db.execute(
            "DELETE FROM chunks WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM spans WHERE number = ?1)", (number,)
        )
        if gone.rowcount:
            db.execute("INSERT INTO tombstones VALUES (?, ?)", (number, generation))
        else:
            # Engines that keep passages keep the first of their places.
            db.execute("UPDATE chunks SET generation = ? WHERE number = ?", (generation, number))

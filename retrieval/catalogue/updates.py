"""Changes of the catalogue within a transaction that the caller holds. It begins and ends none."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from retrieval.catalogue.queries import FILE
from retrieval.catalogue.rows import FileRow, Known, Matrix
from retrieval.catalogue.schema import FILE_COLUMNS
from retrieval.records import Chunk


def put_file(
    db: sqlite3.Connection,
    row: FileRow,
    chunks: Sequence[Chunk],
    vectors: Mapping[str, Matrix],
    embedder: str | None,
    generation: int,
) -> None:
    """Replace what is known of a file: its row, where its chunks stand, and the vectors that are given."""
    file = write_row(db, row, generation)
    before = [number for (number,) in db.execute("SELECT DISTINCT number FROM spans WHERE file = ?", (file,))]
    db.execute("DELETE FROM spans WHERE file = ?", (file,))
    stored = write_chunks(db, chunks, generation)
    db.executemany(
        'INSERT INTO spans (file, ordinal, number, "start", "end", page, text) VALUES (?, ?, ?, ?, ?, ?, ?)',
        (
            (file, i, number, c.start, c.end, c.page, None if c.text == text else c.text)
            for i, c in enumerate(chunks)
            for number, text in (stored[c.id],)
        ),
    )
    if vectors and embedder is not None:
        wanted = {stored[id][0]: vector for id, vector in vectors.items() if id in stored}
        write_vectors(db, wanted, embedder, generation)
    kept = {number for number, _ in stored.values()}
    bury(db, [number for number in before if number not in kept], generation)


def write_row(db: sqlite3.Connection, row: FileRow, generation: int) -> int:
    """Insert or replace a row of `files` and return its id."""
    values = vars(row) | {"path": os.fsencode(row.source), "notes": json.dumps(row.notes), "generation": generation}
    updates = ", ".join(f"{name} = excluded.{name}" for name in FILE_COLUMNS[1:])
    (file,) = db.execute(
        f"INSERT INTO files ({FILE}) VALUES ({', '.join('?' * len(FILE_COLUMNS))}) "
        f"ON CONFLICT (path) DO UPDATE SET {updates} RETURNING id",
        [values[name] for name in FILE_COLUMNS],
    ).fetchone()
    return int(file)


def rename(db: sqlite3.Connection, old: str, row: FileRow, generation: int) -> None:
    """Give a file another path and its new row, in the place of whatever has that path; nothing if `old` has gone."""
    found = db.execute("SELECT id FROM files WHERE path = ?", (os.fsencode(old),)).fetchone()
    if found:
        taken = db.execute("SELECT id FROM files WHERE path = ?", (os.fsencode(row.source),)).fetchone()
        if taken and taken != found:
            remove(db, [row.source], generation)
        db.execute("UPDATE files SET path = ? WHERE id = ?", (os.fsencode(row.source), *found))
        write_row(db, row, generation)


def touch(db: sqlite3.Connection, known: Mapping[str, Known], generation: int) -> None:
    """Note other times of files whose bytes are the same, by path; another change time alone moves no projection."""
    db.executemany(
        "UPDATE files SET mtime_ns = ?1, recheck = ?2, ctime_ns = ?3, "
        "generation = iif(mtime_ns = ?1 AND recheck = ?2, generation, ?4) WHERE path = ?5 AND sha256 = ?6",
        [(k.mtime_ns, k.recheck, k.ctime_ns, generation, os.fsencode(s), k.sha256) for s, k in known.items()],
    )


def begin_anew(db: sqlite3.Connection, generation: int, identity: str | None) -> None:
    """Set the generation, and the identity unless it is None, of a catalogue that takes another one's place."""
    db.execute("UPDATE meta SET value = ? WHERE key IN ('generation', 'pruned')", (generation,))
    if identity is not None:
        db.execute("UPDATE meta SET value = ? WHERE key = 'identity'", (identity,))


def prune(db: sqlite3.Connection, last: int) -> None:
    """Forget the removals up to a generation."""
    db.execute("DELETE FROM tombstones WHERE generation <= ?", (last,))
    db.execute("UPDATE meta SET value = ? WHERE key = 'pruned'", (last,))


def write_chunks(db: sqlite3.Connection, chunks: Sequence[Chunk], generation: int) -> dict[str, tuple[int, str]]:
    """Store what is new; return number and stored text of all, by content id."""
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
    """Store vectors by chunk number if the chunk exists and has none of this embedder."""
    for number, vector in vectors.items():
        assert vector.ndim == 1 and np.isfinite(vector).all(), "a vector is a row of finite numbers"
        written = db.execute(
            "INSERT INTO vectors (number, embedder, vector) SELECT number, ?2, ?3 FROM chunks WHERE number = ?1 "
            "ON CONFLICT (number) DO UPDATE SET embedder = excluded.embedder, vector = excluded.vector "
            "WHERE embedder <> excluded.embedder",
            (number, embedder, vector.astype("<f4").tobytes()),
        )
        if written.rowcount:
            db.execute("UPDATE chunks SET generation = ? WHERE number = ?", (generation, number))


def mark_unread(db: sqlite3.Connection, languages: Mapping[int, str], embedder: str) -> None:
    """Note chunks that an embedder cannot read, with their language; those that have gone are passed over."""
    db.executemany(
        "INSERT INTO unread (number, embedder, language) SELECT number, ?2, ?3 FROM chunks WHERE number = ?1 "
        "ON CONFLICT (number) DO UPDATE SET embedder = excluded.embedder, language = excluded.language",
        [(number, embedder, language) for number, language in languages.items()],
    )


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
            db.execute("INSERT INTO tombstones (number, generation) VALUES (?, ?)", (number, generation))
        else:
            # Engines that keep passages keep the first of their places.
            db.execute("UPDATE chunks SET generation = ? WHERE number = ?", (generation, number))

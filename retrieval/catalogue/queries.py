"""Queries of the catalogue and what their columns mean. It opens no file and changes nothing."""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from retrieval.catalogue.rows import FileRow, Matrix, Numbers, Occurrence, StoredChunk
from retrieval.reading.picture_passages import CAPTION
from retrieval.records import Chunk, Filter

FILE = """path, sha256, size, mtime_ns, state, reason, media_type, codec, confidence, title, notes, recipe, recheck,
    indexed_at, generation"""
_FIELDS = ["source", *(name.strip() for name in FILE.split(",")[1:])]
PLACE = """s.number, f.path, f.sha256, f.size, f.mtime_ns, f.indexed_at, f.media_type, f.title, s.ordinal, s."start",
    s."end", s.page, coalesce(s.text, c.text)"""

CHANGED = "SELECT number, generation FROM chunks WHERE generation > ?1 ORDER BY generation, number"
CHANGED_PLACES = """SELECT number, max(generation) AS latest FROM (
    SELECT number, generation FROM chunks WHERE generation > ?1 UNION ALL
    SELECT s.number, f.generation FROM files f JOIN spans s ON s.file = f.id WHERE f.generation > ?1)
    GROUP BY number ORDER BY latest, number"""

CHUNK_COUNTS = "SELECT f.path, count(*) FROM files f JOIN spans s ON s.file = f.id GROUP BY f.id"


def numbers_of(rows: Iterable[tuple[int]]) -> Numbers:
    """Gather a query's only column. (N,)."""
    return np.fromiter((number for (number,) in rows), np.int64)


def matrix_of(rows: Iterable[tuple[int, bytes]]) -> tuple[Numbers, Matrix]:
    """Gather (number, vector) rows into numbers (N,) and a matrix (N, D), (0, 0) where there are none."""
    numbers = list[int]()
    blobs = bytearray()
    for number, vector in rows:
        numbers.append(number)
        blobs += vector
    matrix = np.frombuffer(blobs, "<f4")
    return np.array(numbers, np.int64), matrix.reshape(len(numbers), -1) if numbers else matrix.reshape(0, 0)


def conditions_of(wanted: Filter) -> tuple[list[str], list[object]]:
    """Put a filter into conditions on the table `files` and the values they take."""
    conditions, values = ["state = 'indexed'"], list[object]()
    for condition, value in (
        ("source_matches(?, path)", None if wanted.source is None else wanted.source.encode("utf-8", "surrogatepass")),
        ("media_type = ?", wanted.media_type),
        ("mtime_ns >= ?", nanoseconds(wanted.after)),
        ("mtime_ns < ?", nanoseconds(wanted.before)),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def nanoseconds(seconds: float | None) -> int | None:
    """Return a time as files have it; SQLite's integers end in the year 2262."""
    return None if seconds is None else max(-(2**63), min(2**63 - 1, round(seconds * 1e9)))


def file_row(columns: Sequence[object]) -> FileRow:
    """Name the columns of `FILE`."""
    values = dict(zip(_FIELDS, columns, strict=True))
    path, notes = values["source"], values["notes"]
    assert isinstance(path, bytes) and isinstance(notes, str), "the table's types"
    values |= {"source": os.fsdecode(path), "notes": tuple(json.loads(notes)), "recheck": bool(values["recheck"])}
    return FileRow(**values)  # type: ignore[arg-type]


def occurrence(columns: Sequence[object]) -> Occurrence:
    """Name the columns of `PLACE`; more after them are left alone."""
    _, path, *rest = columns[:13]
    assert isinstance(path, bytes), "the table's type"
    return Occurrence(os.fsdecode(path), *rest)  # type: ignore[arg-type]


def chunks_of(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, StoredChunk]:
    """Give those chunks that exist, by number, with all their places."""
    wanted = (json.dumps(sorted(set(numbers))),)
    places: dict[int, list[Occurrence]] = {}
    for columns in db.execute(
        f"SELECT {PLACE} FROM json_each(?) j JOIN chunks c ON c.number = j.value JOIN spans s USING (number) "
        "JOIN files f ON f.id = s.file ORDER BY f.path, s.ordinal",
        wanted,
    ):
        places.setdefault(columns[0], []).append(occurrence(columns))
    query = "SELECT c.number, c.id, c.text, c.headings FROM json_each(?) j JOIN chunks c ON c.number = j.value"
    return {
        number: StoredChunk(number, id, text, tuple(json.loads(headings)), tuple(places[number]))
        for number, id, text, headings in db.execute(query, wanted)
        if number in places
    }


def chunk_by_id(db: sqlite3.Connection, id: str) -> StoredChunk | None:
    """Give a chunk by its content id, with all its places."""
    row = db.execute("SELECT number FROM chunks WHERE id = ?", (id,)).fetchone()
    return None if row is None else chunks_of(db, [row[0]]).get(row[0])


def chunks_in(db: sqlite3.Connection, source: str) -> tuple[Chunk, ...]:
    """Give the chunks of one file in order, as they stand in it."""
    found = db.execute(
        'SELECT c.id, coalesce(s.text, c.text), s."start", s."end", s.page, c.headings FROM files f '
        "JOIN spans s ON s.file = f.id JOIN chunks c USING (number) WHERE f.path = ? ORDER BY s.ordinal",
        (os.fsencode(source),),
    )
    return tuple(
        Chunk(id, text, start, end, page, tuple(json.loads(headings))) for id, text, start, end, page, headings in found
    )


def caption_of(db: sqlite3.Connection, sha256: str) -> str | None:
    """Give the caption that a picture of these bytes has, in whichever file."""
    row = db.execute(
        "SELECT coalesce(s.text, c.text) FROM files f JOIN spans s ON s.file = f.id JOIN chunks c USING (number) "
        "WHERE f.sha256 = ? AND f.media_type = 'image' AND c.headings = ? LIMIT 1",
        (sha256, json.dumps(CAPTION)),
    ).fetchone()
    return None if row is None else str(row[0])


def uncaptioned(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Give source and sha256 of the indexed pictures that have no caption, by path."""
    found = db.execute(
        "SELECT f.path, f.sha256 FROM files f WHERE f.state = 'indexed' AND f.media_type = 'image' AND NOT EXISTS "
        "(SELECT 1 FROM spans s JOIN chunks c USING (number) WHERE s.file = f.id AND c.headings = ?) ORDER BY f.path",
        (json.dumps(CAPTION),),
    )
    return [(os.fsdecode(path), sha256) for path, sha256 in found]

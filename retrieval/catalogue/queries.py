"""Queries of the catalogue, within a transaction that the caller holds. It opens no file and changes nothing."""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from retrieval.catalogue.rows import (
    NO_NUMBERS,
    Changes,
    Counts,
    FileRow,
    Known,
    Matrix,
    Numbers,
    Occurrence,
    StoredChunk,
)
from retrieval.catalogue.schema import FILE_COLUMNS, PROBLEMS
from retrieval.reading.picture_passages import CAPTION
from retrieval.records import Chunk, Filter

FILE = ", ".join(FILE_COLUMNS)
PLACE = """s.number, f.path, f.sha256, f.size, f.mtime_ns, f.indexed_at, f.media_type, f.title, s.ordinal, s."start",
    s."end", s.page, coalesce(s.text, c.text)"""


def numbers_of(rows: Iterable[tuple[int]]) -> Numbers:
    """Return a query's only column. (N,)."""
    return np.fromiter((number for (number,) in rows), np.int64)


def matrix_of(rows: Iterable[tuple[int, bytes]]) -> tuple[Numbers, Matrix]:
    """Return the numbers (N,) of (number, vector) rows and a matrix (N, D), (0, 0) if there are none."""
    numbers = list[int]()
    blobs = bytearray()
    for number, vector in rows:
        numbers.append(number)
        blobs += vector
    matrix = np.frombuffer(blobs, "<f4")
    return np.array(numbers, np.int64), matrix.reshape(len(numbers), -1) if numbers else matrix.reshape(0, 0)


def conditions_of(wanted: Filter) -> tuple[list[str], list[object]]:
    """Return a filter as conditions on the table `files` and the values they take."""
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
    """Return the columns of `FILE` as a row."""
    values = dict(zip(FILE_COLUMNS, columns, strict=True))
    path, notes = values.pop("path"), values["notes"]
    assert isinstance(path, bytes) and isinstance(notes, str), "the table's types"
    values |= {"source": os.fsdecode(path), "notes": tuple(json.loads(notes)), "recheck": bool(values["recheck"])}
    return FileRow(**values)  # type: ignore[arg-type]


def occurrence(columns: Sequence[object]) -> Occurrence:
    """Return the columns of `PLACE` as an occurrence; columns after them are ignored."""
    _, path, *rest = columns[:13]
    assert isinstance(path, bytes), "the table's type"
    return Occurrence(os.fsdecode(path), *rest)  # type: ignore[arg-type]


def meta(db: sqlite3.Connection) -> dict[str, object]:
    """Return all that the catalogue notes of itself: its identity, its generation, and up to where it was pruned."""
    return dict(db.execute("SELECT key, value FROM meta"))


def known(db: sqlite3.Connection) -> dict[str, Known]:
    """Return what is known of all files by path, indexed or skipped."""
    found = db.execute(f"SELECT path, {', '.join(Known._fields)} FROM files")
    return {os.fsdecode(path): Known(*rest) for path, *rest in found}


def files_in_state(db: sqlite3.Connection, state: str) -> list[FileRow]:
    """Return the files of a state by path."""
    return _files(db, "state = ?", state)


def file_at(db: sqlite3.Connection, source: str) -> FileRow | None:
    """Return one file; None if it is not known."""
    return next(iter(_files(db, "path = ?", os.fsencode(source))), None)


def files_with_content(db: sqlite3.Connection, sha256: str) -> list[FileRow]:
    """Return the indexed files of that content by path."""
    return _files(db, "state = 'indexed' AND sha256 = ?", sha256)


def _files(db: sqlite3.Connection, condition: str, *values: object) -> list[FileRow]:
    found = db.execute(f"SELECT {FILE} FROM files WHERE {condition} ORDER BY path", values)
    return [file_row(columns) for columns in found]


def numbers(db: sqlite3.Connection) -> Numbers:
    """Return the numbers of all chunks, ascending. (N,)."""
    return numbers_of(db.execute("SELECT number FROM chunks ORDER BY number"))


def numbers_after(db: sqlite3.Connection, last: int, limit: int) -> list[int]:
    """Return the next numbers of chunks, ascending."""
    query = "SELECT number FROM chunks WHERE number > ? ORDER BY number LIMIT ?"
    return [number for (number,) in db.execute(query, (last, limit))]


def numbers_matching(db: sqlite3.Connection, conditions: Sequence[str], values: Sequence[object]) -> Numbers:
    """Return the numbers of chunks with a place in files of these conditions, ascending. (N,)."""
    query = (
        "SELECT DISTINCT number FROM spans WHERE file IN "
        f"(SELECT id FROM files WHERE {' AND '.join(conditions)}) ORDER BY number"
    )
    return numbers_of(db.execute(query, values))


def chunks_of(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, StoredChunk]:
    """Return those chunks that exist, by number, with all their places."""
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
    """Return a chunk by its content id, with all its places; None if there is none."""
    row = db.execute("SELECT number FROM chunks WHERE id = ?", (id,)).fetchone()
    return None if row is None else chunks_of(db, [row[0]]).get(row[0])


def chunks_in(db: sqlite3.Connection, source: str) -> tuple[Chunk, ...]:
    """Return the chunks of one file in order, as they stand in it."""
    found = db.execute(
        'SELECT c.id, coalesce(s.text, c.text), s."start", s."end", s.page, c.headings FROM files f '
        "JOIN spans s ON s.file = f.id JOIN chunks c USING (number) WHERE f.path = ? ORDER BY s.ordinal",
        (os.fsencode(source),),
    )
    return tuple(
        Chunk(id, text, start, end, page, tuple(json.loads(headings))) for id, text, start, end, page, headings in found
    )


def caption_of(db: sqlite3.Connection, sha256: str) -> str | None:
    """Return the caption that a picture of these bytes has, in whichever file; None if there is none."""
    row = db.execute(
        "SELECT coalesce(s.text, c.text) FROM files f JOIN spans s ON s.file = f.id JOIN chunks c USING (number) "
        "WHERE f.sha256 = ? AND f.media_type = 'image' AND c.headings = ? LIMIT 1",
        (sha256, json.dumps(CAPTION)),
    ).fetchone()
    return None if row is None else str(row[0])


def uncaptioned(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return source and sha256 of the indexed pictures that have no caption, by path."""
    found = db.execute(
        "SELECT f.path, f.sha256 FROM files f WHERE f.state = 'indexed' AND f.media_type = 'image' AND NOT EXISTS "
        "(SELECT 1 FROM spans s JOIN chunks c USING (number) WHERE s.file = f.id AND c.headings = ?) ORDER BY f.path",
        (json.dumps(CAPTION),),
    )
    return [(os.fsdecode(path), sha256) for path, sha256 in found]


def of_types(db: sqlite3.Connection, media_types: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return source, sha256 and type of the indexed files of these types, by path."""
    marks = ", ".join("?" * len(media_types))
    found = db.execute(
        f"SELECT path, sha256, media_type FROM files WHERE state = 'indexed' AND media_type IN ({marks}) ORDER BY path",
        tuple(media_types),
    )
    return [(os.fsdecode(path), sha256, media_type) for path, sha256, media_type in found]


def chunk_ids(db: sqlite3.Connection, prefix: str, limit: int) -> list[str]:
    """Return the first content ids that begin so."""
    query = "SELECT id FROM chunks WHERE id >= ? AND substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
    return [id for (id,) in db.execute(query, (prefix, len(prefix), prefix, limit))]


def chunk_counts(db: sqlite3.Connection) -> dict[str, int]:
    """Count the chunks of each indexed file, by path; files without any are left out."""
    query = "SELECT f.path, count(*) FROM files f JOIN spans s ON s.file = f.id GROUP BY f.id"
    return {os.fsdecode(path): count for path, count in db.execute(query)}


def is_empty(db: sqlite3.Connection) -> bool:
    """Return whether there is no chunk."""
    return db.execute("SELECT 1 FROM chunks LIMIT 1").fetchone() is None


def counts(db: sqlite3.Connection) -> Counts:
    """Count everything."""
    states = dict(db.execute("SELECT state, count(*) FROM files GROUP BY state"))
    (chunks,) = db.execute("SELECT count(*) FROM chunks").fetchone()
    (spans,) = db.execute("SELECT count(*) FROM spans").fetchone()
    vectors = dict(db.execute("SELECT embedder, count(*) FROM vectors GROUP BY embedder"))
    (generation,) = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
    return Counts(states.get("indexed", 0), states.get("skipped", 0), chunks, spans, vectors, generation)


def vectors_of(db: sqlite3.Connection, numbers: Iterable[int], embedder: str) -> tuple[Numbers, Matrix]:
    """Return the vectors that these chunks have of this embedder: numbers ascending (N,) and rows (N, D)."""
    query = (
        "SELECT v.number, v.vector FROM vectors v JOIN json_each(?) j ON v.number = j.value "
        "WHERE v.embedder = ? ORDER BY v.number"
    )
    return matrix_of(db.execute(query, (json.dumps(sorted({int(number) for number in numbers})), embedder)))


def vectors_after(db: sqlite3.Connection, embedder: str, last: int, limit: int) -> tuple[Numbers, Matrix]:
    """Return the next vectors of this embedder: numbers ascending (N,) and rows (N, D)."""
    query = "SELECT number, vector FROM vectors WHERE embedder = ? AND number > ? ORDER BY number LIMIT ?"
    return matrix_of(db.execute(query, (embedder, last, limit)))


def vectors_by_id(db: sqlite3.Connection, ids: Iterable[str], embedder: str) -> dict[str, Matrix]:
    """Return the vectors of this embedder by content id, (D,) each, for those ids that have one."""
    found = db.execute(
        "SELECT c.id, v.vector FROM json_each(?) j JOIN chunks c ON c.id = j.value "
        "JOIN vectors v USING (number) WHERE v.embedder = ?",
        (json.dumps(sorted(set(ids))), embedder),
    )
    return {id: np.frombuffer(vector, "<f4") for id, vector in found}


def embedded_ids(db: sqlite3.Connection, source: str, embedder: str) -> set[str]:
    """Return the content ids of a file's chunks that have a vector of this embedder."""
    found = db.execute(
        "SELECT c.id FROM files f JOIN spans s ON s.file = f.id JOIN chunks c USING (number) "
        "JOIN vectors v USING (number) WHERE f.path = ? AND v.embedder = ?",
        (os.fsencode(source), embedder),
    )
    return {id for (id,) in found}


def numbers_without_vector(db: sqlite3.Connection, embedder: str) -> Numbers:
    """Return the numbers of chunks that have no vector of this embedder and could have one, ascending. (N,)."""
    query = (
        "SELECT c.number FROM chunks c LEFT JOIN vectors v ON v.number = c.number AND v.embedder = ?1 "
        "LEFT JOIN unread u ON u.number = c.number AND u.embedder = ?1 "
        "WHERE v.number IS NULL AND u.number IS NULL ORDER BY c.number"
    )
    return numbers_of(db.execute(query, (embedder,)))


def unread_languages(db: sqlite3.Connection, embedder: str) -> dict[str, int]:
    """Count the chunks that this embedder cannot read and has no vector of, by their language."""
    query = (
        "SELECT language, count(*) FROM unread u LEFT JOIN vectors v "
        "ON v.number = u.number AND v.embedder = u.embedder "
        "WHERE u.embedder = ? AND v.number IS NULL GROUP BY language ORDER BY 2 DESC, 1"
    )
    return dict(db.execute(query, (embedder,)))


def lacking_vector(db: sqlite3.Connection, numbers: Iterable[int], embedder: str) -> set[int]:
    """Return those of the numbers that have no vector of this embedder."""
    query = (
        "SELECT j.value FROM json_each(?) j LEFT JOIN vectors v ON v.number = j.value AND v.embedder = ? "
        "WHERE v.number IS NULL"
    )
    return {number for (number,) in db.execute(query, (json.dumps(list(numbers)), embedder))}


def changes_since(db: sqlite3.Connection, generation: int) -> Changes:
    """Return what a projection that stands at `generation` has to do to stand where the catalogue does."""
    stands, pruned = (meta(db)[key] for key in ("generation", "pruned"))
    assert isinstance(stands, int) and isinstance(pruned, int), "both are numbers"
    # Ahead of us means that an older copy of the catalogue was put back.
    if generation < pruned or generation > stands:
        return Changes(numbers(db), NO_NUMBERS, stands, rebuild=True)
    since = (generation,)
    return Changes(
        numbers_of(db.execute("SELECT number FROM chunks WHERE generation > ? ORDER BY number", since)),
        numbers_of(db.execute("SELECT number FROM tombstones WHERE generation > ? ORDER BY number", since)),
        stands,
        rebuild=False,
    )


def changed_since(db: sqlite3.Connection, generation: int) -> tuple[Numbers, Numbers]:
    """Return the numbers of chunks that changed since, and the generation of each, ascending by this. (N,), (N,)."""
    query = "SELECT number, generation FROM chunks WHERE generation > ? ORDER BY generation, number"
    return _with_generations(db.execute(query, (generation,)))


def changed_with_places_since(db: sqlite3.Connection, generation: int) -> tuple[Numbers, Numbers]:
    """Return as `changed_since` does, with the chunks whose file has another name or text around them."""
    query = """SELECT number, max(generation) AS latest FROM (
        SELECT number, generation FROM chunks WHERE generation > ?1 UNION ALL
        SELECT s.number, f.generation FROM files f JOIN spans s ON s.file = f.id WHERE f.generation > ?1)
        GROUP BY number ORDER BY latest, number"""
    return _with_generations(db.execute(query, (generation,)))


def _with_generations(rows: Iterable[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    found = list(rows)
    return numbers_of((number,) for number, _ in found), numbers_of((changed,) for _, changed in found)


def problems(db: sqlite3.Connection) -> list[str]:
    """Return what is wrong, in sentences, after reading the whole file."""
    found = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    for what, query in PROBLEMS.items():
        (count,) = db.execute(query).fetchone()
        if count:
            found.append(f"{count} {what}")
    return found

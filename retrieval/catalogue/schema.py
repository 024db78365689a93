"""The catalogue's tables and what must hold in them. It opens nothing and moves no data."""

import os
import sqlite3

from retrieval.source_filter import source_matches

VERSION = 3
"""Raised with each change of the tables, for which `migrations.py` has a function."""

# Paths are bytes: a name in another encoding is no text. `number` is AUTOINCREMENT so that a projection that missed a
# removal can never take a later chunk for the removed one. Vectors lie apart from texts: reading one does not page
# through the other. A chunk's generation is that of its last change that projections must see.
TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('generation', 0), ('pruned', 0), ('identity', '{identity}')",
    """CREATE TABLE files (
        id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('indexed', 'skipped')), reason TEXT NOT NULL,
        media_type TEXT, codec TEXT, confidence REAL NOT NULL, title TEXT NOT NULL, notes TEXT NOT NULL,
        recipe TEXT NOT NULL, recheck INTEGER NOT NULL, indexed_at REAL NOT NULL, generation INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX files_by_content ON files (sha256)",
    """CREATE TABLE chunks (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, headings TEXT NOT NULL,
        generation INTEGER NOT NULL)""",
    "CREATE INDEX chunks_by_generation ON chunks (generation)",
    """CREATE TABLE vectors (
        number INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE, embedder TEXT NOT NULL,
        vector BLOB NOT NULL)""",
    """CREATE TABLE spans (
        file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
        number INTEGER NOT NULL REFERENCES chunks (number), "start" INTEGER NOT NULL, "end" INTEGER NOT NULL,
        page INTEGER, text TEXT, PRIMARY KEY (file, ordinal)) WITHOUT ROWID""",
    "CREATE INDEX spans_by_chunk ON spans (number)",
    # What an embedder cannot read has no vector of it and is found by its words; `language` says why.
    """CREATE TABLE unread (
        number INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE, embedder TEXT NOT NULL,
        language TEXT NOT NULL)""",
    "CREATE TABLE tombstones (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL)",
    "CREATE INDEX tombstones_by_generation ON tombstones (generation)",
)

FILE_COLUMNS = (
    *("path", "sha256", "size", "mtime_ns", "state", "reason", "media_type", "codec", "confidence", "title", "notes"),
    *("recipe", "recheck", "indexed_at", "generation", "ctime_ns"),
)
"""Of the table `files`, without its id; named as the fields of `FileRow` are, but for the path."""

PROBLEMS = {
    "references lead nowhere": "SELECT count(*) FROM pragma_foreign_key_check",
    "chunks stand in no file": "SELECT count(*) FROM chunks WHERE number NOT IN (SELECT number FROM spans)",
    "files have gaps between their chunks": """SELECT count(*) FROM
        (SELECT 1 FROM spans GROUP BY file HAVING max(ordinal) <> count(*) - 1 OR min(ordinal) <> 0)""",
    "skipped files have chunks": """SELECT count(*) FROM files WHERE state = 'skipped' AND id IN
        (SELECT file FROM spans)""",
    "removed chunks are still there": "SELECT count(*) FROM tombstones JOIN chunks USING (number)",
    "vectors have another length than their embedder's first": """SELECT count(*) FROM vectors v JOIN
        (SELECT embedder, length(vector) AS bytes FROM vectors GROUP BY embedder HAVING number = min(number)) e
        ON e.embedder = v.embedder AND e.bytes <> length(v.vector)""",
}


def prepare(db: sqlite3.Connection) -> None:
    """Give a connection the functions of our own that queries use."""
    db.create_function("source_matches", 2, _source_matches, deterministic=True)


def _source_matches(pattern: bytes, path: bytes) -> bool:
    # Both as bytes: SQLite's text could not hold names in other encodings.
    return source_matches(pattern.decode("utf-8", "surrogatepass"), os.fsdecode(path))

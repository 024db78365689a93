"""Reads what can still be read of a damaged catalogue, and changes nothing in it.

A row is given only if its bytes say of themselves that they are right: a passage by its content id, a vector by its
length, a file by having all its passages in order. It writes nothing but a copy with a whole first page, where needed.
"""

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.catalogue.database import APPLICATION_ID, CatalogueNewer, beside
from retrieval.catalogue.migrations import ADDED
from retrieval.catalogue.queries import file_row
from retrieval.catalogue.rows import FileRow, Matrix
from retrieval.catalogue.schema import FILE_COLUMNS, VERSION
from retrieval.reading.chunks import chunk_id
from retrieval.records import Chunk

_LAST = 2**62
_TABLES = {"meta", "files", "chunks", "vectors", "spans"}
_PAGE_COUNT = slice(28, 32)
_PAGE_SIZE = slice(16, 18)
_OFF_BY = 1e-3
"""How far from 1 the length of a unit vector may be, in 32 bits."""


@dataclass(frozen=True)
class KeptFile:
    """A file of which everything could be read but, perhaps, some vectors."""

    row: FileRow
    chunks: tuple[Chunk, ...]
    numbers: tuple[int, ...]
    """Of the chunks."""


class DamagedCatalogue:
    """A catalogue file that may be broken anywhere."""

    def __init__(self, path: Path, whole: Path) -> None:
        """Open it, if anything of it can be opened.

        Args:
            path: The file, with its log beside it.
            whole: A new and empty catalogue, from which a first page is borrowed; what is made lies beside it.

        Raises:
            CatalogueNewer: A newer version wrote it.
        """
        self.path = path
        self._copy = beside(whole, ".copy")
        self._db = self._opened(path)
        if self._db is None and _has_lost_its_head(path):
            self._db = self._opened(self._with_head(whole))

    @property
    def identity(self) -> str | None:
        """As of `Catalogue`; None if it cannot be read."""
        found = self._meta("identity")
        return found if isinstance(found, str) and len(found) == 32 else None

    @property
    def generation(self) -> int:
        """As of `Catalogue`; 0 if it cannot be read."""
        found = self._meta("generation")
        return found if isinstance(found, int) and 0 < found < 2**40 else 0

    def files(self) -> Iterator[KeptFile | None]:
        """Yield each file that is whole, and None for each that is not."""
        for id, *columns in self._rows("files", "id", f"id, {self._file_columns()}"):
            try:
                row = _checked(file_row(columns))
                found = self._chunks_of(id) if row.state == "indexed" else []
            except (ValueError, TypeError, AssertionError, sqlite3.DatabaseError):
                yield None
                continue
            yield KeptFile(row, tuple(chunk for _, chunk in found), tuple(number for number, _ in found))

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Yield each chunk that can be read, with its number; its place is not known."""
        for number, id, text, headings in self._rows("chunks", "number", "number, id, text, headings"):
            with suppress(ValueError, TypeError):
                yield number, _chunk(id, text, headings, 0, len(text), None)

    def vectors(self, numbers: Sequence[int]) -> tuple[str | None, dict[int, Matrix]]:
        """Return the vectors of these chunks by number, (D,) each, and the embedder that made most of them."""
        found: dict[str, dict[int, Matrix]] = {}
        for number in numbers:
            with suppress(ValueError, TypeError, sqlite3.DatabaseError):
                embedder, blob = self._one("SELECT embedder, vector FROM vectors WHERE number = ?", number)
                vector = np.frombuffer(blob, "<f4")
                if isinstance(embedder, str) and abs(float(np.linalg.norm(vector)) - 1) < _OFF_BY:
                    found.setdefault(embedder, {})[number] = vector
        if not found:
            return None, {}
        embedder = max(found, key=lambda name: len(found[name]))
        ((size, _),) = Counter(len(vector) for vector in found[embedder].values()).most_common(1)
        return embedder, {number: vector for number, vector in found[embedder].items() if len(vector) == size}

    def close(self) -> None:
        """Let go of it, and of what was made to read it."""
        if self._db is not None:
            self._db.close()
        for end in ("", "-wal", "-shm"):
            beside(self._copy, end).unlink(missing_ok=True)

    def _opened(self, path: Path) -> sqlite3.Connection | None:
        try:
            # Not immutable: what was committed last may still be in the log.
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.DatabaseError:
            return None
        try:
            db.execute("PRAGMA writable_schema = ON")  # else a file that is shorter than its head says is refused
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if application == APPLICATION_ID and version > VERSION:
                raise CatalogueNewer(self.path, version, VERSION)
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables >= _TABLES:
                raise sqlite3.DatabaseError("tables are missing")
        except sqlite3.DatabaseError:
            db.close()
            return None
        except BaseException:
            db.close()
            raise
        return db

    def _with_head(self, whole: Path) -> Path:
        """Copy the file, with the first page of one that has the same tables: these lie in the same places."""
        size = int.from_bytes((head := whole.read_bytes())[_PAGE_SIZE], "big")
        page = bytearray(head[:size])
        page[_PAGE_COUNT] = (self.path.stat().st_size // size).to_bytes(4, "big")
        shutil.copyfile(self.path, self._copy)
        with suppress(FileNotFoundError):
            shutil.copyfile(beside(self.path, "-wal"), beside(self._copy, "-wal"))
        with self._copy.open("r+b") as file:
            file.write(page)
        return self._copy

    def _file_columns(self) -> str:
        """Return the columns of `files` as today's are, whichever version wrote the file."""
        there: set[str] = set()
        if self._db is not None:
            with suppress(sqlite3.DatabaseError):
                there = {name for _, name, *_ in self._db.execute("PRAGMA table_info(files)")}
        return ", ".join(name if name in there else ADDED.get(name, name) for name in FILE_COLUMNS)

    def _rows(self, table: str, key: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table by number, passing over those that cannot be read.

        From a row that fails it goes on a little further, then twice as far, and so on: a damaged page costs the rows
        on it and at most as many after it, and a table that has lost its root no more than some queries.
        """
        at, step = 0, 1
        while self._db is not None and at < _LAST:
            query = f"SELECT {columns} FROM {table} NOT INDEXED WHERE {key} >= ? ORDER BY {key}"
            try:
                for row in self._db.execute(query, (at,)):
                    if not isinstance(row[0], int) or row[0] < at:
                        raise sqlite3.DatabaseError("the rows are out of order")
                    at, step = row[0] + 1, 1
                    yield row
            except sqlite3.DatabaseError:
                at, step = at + step, step * 2
            else:
                return

    def _one(self, query: str, value: object) -> tuple[Any, ...]:
        assert self._db is not None, "there was a row, so it is open"
        found = self._db.execute(query, (value,)).fetchone()
        if found is None:
            raise ValueError("there is no such row")
        return tuple(found)

    def _chunks_of(self, file: object) -> list[tuple[int, Chunk]]:
        """Return all chunks of a file with their numbers.

        Raises:
            ValueError: One is missing, or is not what it was; likewise TypeError and sqlite3.DatabaseError.
        """
        assert self._db is not None, "the file was read, so it is open"
        query = 'SELECT ordinal, number, "start", "end", page, text FROM spans WHERE file = ? ORDER BY ordinal'
        found = []
        for i, (ordinal, number, start, end, page, own) in enumerate(self._db.execute(query, (file,)).fetchall()):
            id, text, headings = self._one("SELECT id, text, headings FROM chunks WHERE number = ?", number)
            if ordinal != i:
                raise ValueError("a place is missing")
            found.append((number, _chunk(id, text if own is None else own, headings, start, end, page)))
        return found

    def _meta(self, key: str) -> object:
        if self._db is not None:
            with suppress(sqlite3.DatabaseError, ValueError):
                return self._one("SELECT value FROM meta WHERE key = ?", key)[0]
        return None


def _checked(row: FileRow) -> FileRow:
    texts = (row.source, row.sha256, row.reason, row.title, row.recipe)
    numbers = (row.size, row.mtime_ns, row.ctime_ns, row.indexed_at, row.confidence)
    if not (
        row.state in ("indexed", "skipped")
        and all(isinstance(value, str) for value in (*texts, *row.notes))
        and all(isinstance(value, int | float) for value in numbers)
    ):
        raise ValueError("a file has other values than files have")
    return row


def _chunk(id: object, text: object, headings: object, start: object, end: object, page: object) -> Chunk:
    if not (isinstance(id, str) and isinstance(text, str) and isinstance(headings, str)):
        raise TypeError("a passage is text")
    if not (isinstance(start, int) and isinstance(end, int) and end - start == len(text)):
        raise ValueError("a place is as long as its text")
    path = tuple(json.loads(headings))
    if chunk_id(path, text) != id:
        raise ValueError("the text is not the one that was stored")
    return Chunk(id, text, start, end, page if isinstance(page, int) else None, path)


def _has_lost_its_head(path: Path) -> bool:
    """Return whether the file may be a catalogue after its first page, which alone says what the file is."""
    with path.open("rb") as file:
        head = file.read(100)
    return os.path.getsize(path) > 4096 and not (
        head.startswith(b"SQLite format 3\0") and int.from_bytes(head[68:72], "big") not in (0, APPLICATION_ID)
    )

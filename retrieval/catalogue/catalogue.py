"""The truth of a knowledge base: files, their chunks by content, where these stand, and their vectors.

It does not read documents, split, embed or search, and does not know the projections: these ask what changed since the
generation they stand at. Writing a file is one transaction; a chunk without a place does not exist.
"""

import json
import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.catalogue.database import (
    CatalogueBusy,
    CatalogueDamaged,
    CatalogueError,
    CatalogueFull,
    CatalogueNewer,
    CatalogueReadOnly,
    Database,
)
from retrieval.catalogue.queries import (
    CHANGED,
    CHANGED_PLACES,
    CHUNK_COUNTS,
    FILE,
    caption_of,
    chunk_by_id,
    chunks_in,
    chunks_of,
    conditions_of,
    file_row,
    matrix_of,
    numbers_of,
    uncaptioned,
)
from retrieval.catalogue.rows import NO_NUMBERS, Changes, Counts, FileRow, Known, Matrix, Numbers, StoredChunk
from retrieval.catalogue.schema import PROBLEMS, TABLES, VERSION, prepare
from retrieval.catalogue.updates import bury, remove, write_chunks, write_row, write_vectors
from retrieval.records import Chunk, Filter

__all__ = [
    "Catalogue",
    "CatalogueBusy",
    "CatalogueDamaged",
    "CatalogueError",
    "CatalogueFull",
    "CatalogueNewer",
    "CatalogueReadOnly",
]

KEPT_GENERATIONS = 50_000
PRUNED_EVERY = 256


class Catalogue:
    """The catalogue of one knowledge base, for any number of threads and processes at once."""

    def __init__(self, path: Path, *, kept_generations: int = KEPT_GENERATIONS, scratch: bool = False) -> None:
        """Open the file, or create it.

        Args:
            path: Of the SQLite file; missing folders are made.
            scratch: It counts only when it is finished, and need not survive the power until then.
            kept_generations: For how long removals are remembered; a projection further behind is rebuilt.

        Raises:
            CatalogueNewer: A newer version wrote it.
            CatalogueDamaged: It is no SQLite file, another program's, or broken.
            CatalogueReadOnly: It does not exist and cannot be made.
        """
        self.path = path
        self._kept = kept_generations
        tables = [statement.replace("{identity}", uuid.uuid4().hex) for statement in TABLES]
        self._database = Database(path, tables, VERSION, prepare, durable=not scratch)

    @property
    def read_only(self) -> bool:
        """Whether it can only be read, its folder not being writable."""
        return self._database.read_only

    @property
    def identity(self) -> str:
        """Name of this catalogue: a projection that remembers another one belongs to another and must be rebuilt."""
        return str(self._meta("identity"))

    @property
    def generation(self) -> int:
        """How many transactions there were; equal numbers mean that nothing happened."""
        value = self._meta("generation")
        assert isinstance(value, int), "the generation is a number"
        return value

    def close(self) -> None:
        """Close the file for all threads."""
        self._database.close()

    # Writing

    def put_file(
        self,
        row: FileRow,
        chunks: Sequence[Chunk] = (),
        vectors: Mapping[str, Matrix] | None = None,
        embedder: str | None = None,
    ) -> int:
        """Replace what is known of a file, in one transaction.

        Args:
            row: The file; with state "skipped" it has no chunks.
            chunks: All its chunks in order.
            vectors: By content id, (D,) each; ids that are absent keep the vector they have, or have none.
            embedder: Fingerprint of who made the vectors.

        Returns:
            The new generation.
        """
        with self._database.write() as (db, generation):
            file = write_row(db, row, generation)
            before = [number for (number,) in db.execute("SELECT DISTINCT number FROM spans WHERE file = ?", (file,))]
            db.execute("DELETE FROM spans WHERE file = ?", (file,))
            stored = write_chunks(db, chunks, generation)
            db.executemany(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)",
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
            self._prune(db, generation)
        return generation

    def rename(self, old: str, row: FileRow) -> int:
        """Give a file another path and its new `row`; its chunks keep their numbers. Nothing where `old` has gone."""
        with self._database.write() as (db, generation):
            found = db.execute("SELECT id FROM files WHERE path = ?", (os.fsencode(old),)).fetchone()
            if found:
                taken = db.execute("SELECT id FROM files WHERE path = ?", (os.fsencode(row.source),)).fetchone()
                if taken and taken != found:
                    remove(db, [row.source], generation)
                db.execute("UPDATE files SET path = ? WHERE id = ?", (os.fsencode(row.source), *found))
                write_row(db, row, generation)
        return generation

    def touch(self, known: Mapping[str, Known]) -> int:
        """Note other times of files whose bytes are the same, by path, all in one transaction."""
        with self._database.write() as (db, generation):
            db.executemany(
                "UPDATE files SET mtime_ns = ?, recheck = ?, generation = ? WHERE path = ? AND sha256 = ?",
                [(k.mtime_ns, k.recheck, generation, os.fsencode(s), k.sha256) for s, k in known.items()],
            )
        return generation

    def remove_files(self, sources: Iterable[str]) -> int:
        """Forget files, all in one transaction; unknown ones are no error."""
        with self._database.write() as (db, generation):
            remove(db, sources, generation)
            self._prune(db, generation)
        return generation

    def begin_anew(self, generation: int, identity: str | None) -> None:
        """Have every projection made anew, whatever it holds: this is another catalogue in the place of one before.

        Args:
            generation: None of them has come as far.
            identity: Of the catalogue before, where it is known: what belongs to that will belong to this one.
        """
        with self._database.write() as (db, _):
            db.execute("UPDATE meta SET value = ? WHERE key IN ('generation', 'pruned')", (generation,))
            if identity is not None:
                db.execute("UPDATE meta SET value = ? WHERE key = 'identity'", (identity,))

    def set_vectors(self, vectors: Mapping[int, Matrix], embedder: str) -> int:
        """Give chunks their vectors by number, (D,) each, in one transaction; chunks that have gone are passed over."""
        with self._database.write() as (db, generation):
            write_vectors(db, vectors, embedder, generation)
        return generation

    def _prune(self, db: sqlite3.Connection, generation: int) -> None:
        if generation % min(PRUNED_EVERY, self._kept) == 0 and (last := generation - self._kept) > 0:
            db.execute("DELETE FROM tombstones WHERE generation <= ?", (last,))
            db.execute("UPDATE meta SET value = ? WHERE key = 'pruned'", (last,))

    # Files

    def files(self) -> list[FileRow]:
        """List the indexed files by path."""
        return self._files("state = 'indexed'")

    def skipped(self) -> list[FileRow]:
        """List the files that are not indexed, with the reason."""
        return self._files("state = 'skipped'")

    def known(self) -> dict[str, Known]:
        """Give what is known of all files by path, indexed or skipped."""
        with self._database.read() as db:
            return {
                os.fsdecode(path): Known(*rest)
                for path, *rest in db.execute(f"SELECT path, {', '.join(Known._fields)} FROM files")
            }

    def file(self, source: str) -> FileRow | None:
        """Give one file, if it is known."""
        return next(iter(self._files("path = ?", os.fsencode(source))), None)

    def with_sha256(self, sha256: str) -> list[FileRow]:
        """List the indexed files of that content."""
        return self._files("state = 'indexed' AND sha256 = ?", sha256)

    def _files(self, condition: str, *values: object) -> list[FileRow]:
        with self._database.read() as db:
            found = db.execute(f"SELECT {FILE} FROM files WHERE {condition} ORDER BY path", values).fetchall()
        return [file_row(columns) for columns in found]

    # Chunks

    def chunks(self, numbers: Iterable[int]) -> list[StoredChunk]:
        """Give chunks in the order of their numbers in `numbers`; those that have gone are left out."""
        wanted = [int(number) for number in numbers]
        with self._database.read() as db:
            found = chunks_of(db, wanted)
        return [found[number] for number in wanted if number in found]

    def pages(self, size: int = 1000) -> Iterator[list[StoredChunk]]:
        """Give all chunks by number, `size` at a time.

        Each page shows the state of its own moment: note `generation` before, and ask `changes_since` for it after.
        """
        last = 0
        while True:
            with self._database.read() as db:
                query = "SELECT number FROM chunks WHERE number > ? ORDER BY number LIMIT ?"
                numbers = [number for (number,) in db.execute(query, (last, size))]
                found = chunks_of(db, numbers)
            if not numbers:
                return
            last = numbers[-1]
            yield [found[number] for number in numbers if number in found]

    def numbers(self) -> Numbers:
        """Give the numbers of all chunks, ascending. (N,)."""
        with self._database.read() as db:
            return numbers_of(db.execute("SELECT number FROM chunks ORDER BY number"))

    def numbers_matching(self, wanted: Filter) -> Numbers:
        """Give the numbers of chunks with a place that the filter allows, ascending. (N,).

        `after` counts in, `before` does not: periods side by side share nothing.
        """
        if wanted == Filter():
            return self.numbers()
        conditions, values = conditions_of(wanted)
        with self._database.read() as db:
            return numbers_of(
                db.execute(
                    "SELECT DISTINCT number FROM spans WHERE file IN "
                    f"(SELECT id FROM files WHERE {' AND '.join(conditions)}) ORDER BY number",
                    values,
                )
            )

    def chunks_in(self, source: str) -> tuple[Chunk, ...]:
        """Give the chunks of one file in order, as they stand in it; none where there is no such file."""
        with self._database.read() as db:
            return chunks_in(db, source)

    def chunk(self, id: str) -> StoredChunk | None:
        """Give one chunk by its content id, if there is one."""
        with self._database.read() as db:
            return chunk_by_id(db, id)

    def chunk_ids(self, prefix: str, limit: int) -> list[str]:
        """Give the first content ids that begin so."""
        with self._database.read() as db:
            query = "SELECT id FROM chunks WHERE id >= ? AND substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
            return [id for (id,) in db.execute(query, (prefix, len(prefix), prefix, limit))]

    def chunk_counts(self) -> dict[str, int]:
        """Count the chunks of each indexed file, by path; files without any are left out."""
        with self._database.read() as db:
            return {os.fsdecode(path): count for path, count in db.execute(CHUNK_COUNTS)}

    def caption(self, sha256: str) -> str | None:
        """Give the caption that a picture of these bytes has, in whichever file."""
        with self._database.read() as db:
            return caption_of(db, sha256)

    def uncaptioned(self) -> list[tuple[str, str]]:
        """List source and sha256 of the indexed pictures that have no caption."""
        with self._database.read() as db:
            return uncaptioned(db)

    @property
    def is_empty(self) -> bool:
        """Whether there is no chunk; unlike `counts` it costs the same at any size."""
        with self._database.read() as db:
            return db.execute("SELECT 1 FROM chunks LIMIT 1").fetchone() is None

    def counts(self) -> Counts:
        """Count everything."""
        with self._database.read() as db:
            states = dict(db.execute("SELECT state, count(*) FROM files GROUP BY state"))
            (chunks,) = db.execute("SELECT count(*) FROM chunks").fetchone()
            (spans,) = db.execute("SELECT count(*) FROM spans").fetchone()
            vectors = dict(db.execute("SELECT embedder, count(*) FROM vectors GROUP BY embedder"))
            (generation,) = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        return Counts(states.get("indexed", 0), states.get("skipped", 0), chunks, spans, vectors, generation)

    # Vectors

    def vectors(self, numbers: Iterable[int], embedder: str) -> tuple[Numbers, Matrix]:
        """Give the vectors that these chunks have of this embedder: numbers ascending (N,) and rows (N, D)."""
        wanted = json.dumps(sorted({int(number) for number in numbers}))
        return self._matrix(
            "JOIN json_each(?2) j ON v.number = j.value WHERE v.embedder = ?1 ORDER BY v.number", embedder, wanted
        )

    def vector_pages(self, embedder: str, size: int = 5000) -> Iterator[tuple[Numbers, Matrix]]:
        """Give all vectors of this embedder by number, `size` at a time, as `pages` does."""
        last = 0
        while True:
            numbers, matrix = self._matrix(
                "WHERE v.embedder = ? AND v.number > ? ORDER BY v.number LIMIT ?", embedder, last, size
            )
            if not len(numbers):
                return
            last = int(numbers[-1])
            yield numbers, matrix

    def vectors_by_id(self, ids: Iterable[str], embedder: str) -> dict[str, Matrix]:
        """Give the vectors of this embedder by content id, (D,) each, for those ids that have one."""
        with self._database.read() as db:
            found = db.execute(
                "SELECT c.id, v.vector FROM json_each(?) j JOIN chunks c ON c.id = j.value "
                "JOIN vectors v USING (number) WHERE v.embedder = ?",
                (json.dumps(sorted(set(ids))), embedder),
            )
            return {id: np.frombuffer(vector, "<f4") for id, vector in found}

    def embedded_ids(self, source: str, embedder: str) -> set[str]:
        """Give the content ids of a file's chunks that have a vector of this embedder."""
        with self._database.read() as db:
            return {
                id
                for (id,) in db.execute(
                    "SELECT c.id FROM files f JOIN spans s ON s.file = f.id JOIN chunks c USING (number) "
                    "JOIN vectors v USING (number) WHERE f.path = ? AND v.embedder = ?",
                    (os.fsencode(source), embedder),
                )
            }

    def chunks_without_vector(self, embedder: str) -> Numbers:
        """Give the numbers of chunks that have no vector of this embedder, ascending. (N,)."""
        with self._database.read() as db:
            return numbers_of(
                db.execute(
                    "SELECT c.number FROM chunks c LEFT JOIN vectors v ON v.number = c.number AND v.embedder = ? "
                    "WHERE v.number IS NULL ORDER BY c.number",
                    (embedder,),
                )
            )

    def _matrix(self, rest: str, *values: object) -> tuple[Numbers, Matrix]:
        with self._database.read() as db:
            return matrix_of(db.execute(f"SELECT v.number, v.vector FROM vectors v {rest}", values))

    # Projections

    def changes_since(self, generation: int) -> Changes:
        """Tell a projection that stands at `generation` what to do to stand where the catalogue does."""
        with self._database.read() as db:
            meta = dict(db.execute("SELECT key, value FROM meta"))
            # Ahead of us means that an older copy of the catalogue was put back.
            if generation < meta["pruned"] or generation > meta["generation"]:
                everything = numbers_of(db.execute("SELECT number FROM chunks ORDER BY number"))
                return Changes(everything, NO_NUMBERS, meta["generation"], rebuild=True)
            since = (generation,)
            return Changes(
                numbers_of(db.execute("SELECT number FROM chunks WHERE generation > ? ORDER BY number", since)),
                numbers_of(db.execute("SELECT number FROM tombstones WHERE generation > ? ORDER BY number", since)),
                meta["generation"],
                rebuild=False,
            )

    def changed_since(self, generation: int, *, places: bool) -> tuple[Numbers, Numbers]:
        """Give the numbers of chunks that changed since, and the generation of each, ascending by this. (N,), (N,).

        Args:
            generation: After which.
            places: Whether a chunk counts as changed, too, whose file has another name or text around it.
        """
        with self._database.read() as db:
            found = db.execute(CHANGED_PLACES if places else CHANGED, (generation,)).fetchall()
        return numbers_of((number,) for number, _ in found), numbers_of((changed,) for _, changed in found)

    def check(self) -> list[str]:
        """Look for damage; each finding is a sentence, none means sound. Reads the whole file."""
        with self._database.read() as db:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for what, query in PROBLEMS.items():
                (count,) = db.execute(query).fetchone()
                if count:
                    found.append(f"{count} {what}")
        return found

    def _meta(self, key: str) -> object:
        with self._database.read() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise CatalogueDamaged(self.path, f"its {key} is missing")
        return row[0]

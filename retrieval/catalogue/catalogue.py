"""The truth of a knowledge base: files, their chunks by content, where these stand, and their vectors.

It does not read documents, split, embed or search, and does not know the projections: these ask what changed since the
generation they stand at. Writing a file is one transaction; a chunk without a place does not exist.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from retrieval.catalogue import queries, updates
from retrieval.catalogue.database import (
    CatalogueBusy,
    CatalogueDamaged,
    CatalogueError,
    CatalogueFull,
    CatalogueNewer,
    CatalogueReadOnly,
    Database,
)
from retrieval.catalogue.migrations import MIGRATIONS, READABLE
from retrieval.catalogue.rows import Changes, Counts, FileRow, Known, Matrix, Numbers, StoredChunk
from retrieval.catalogue.schema import TABLES, VERSION, prepare
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
        """Open the file, or create it; an older version's is migrated.

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
        self._database = Database(
            path, tables, VERSION, prepare, migrations=MIGRATIONS, readable=READABLE, durable=not scratch
        )

    @property
    def read_only(self) -> bool:
        """Whether it can only be read, its folder not being writable or its disk full."""
        return self._database.read_only

    @property
    def full(self) -> bool:
        """Whether it can only be read because its disk was full when it was opened."""
        return self._database.full

    @property
    def identity(self) -> str:
        """This catalogue's name: a projection that remembers another one belongs to another and must be rebuilt."""
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
            updates.put_file(db, row, chunks, vectors or {}, embedder, generation)
            self._prune(db, generation)
        return generation

    def rename(self, old: str, row: FileRow) -> int:
        """Give a file another path and its new `row`; its chunks keep their numbers. Does nothing if `old` has gone."""
        with self._database.write() as (db, generation):
            updates.rename(db, old, row, generation)
        return generation

    def touch(self, known: Mapping[str, Known]) -> int:
        """Note other times of files whose bytes are the same, by path, all in one transaction."""
        with self._database.write() as (db, generation):
            updates.touch(db, known, generation)
        return generation

    def remove_files(self, sources: Iterable[str]) -> int:
        """Forget files, all in one transaction; unknown ones are no error."""
        with self._database.write() as (db, generation):
            updates.remove(db, sources, generation)
            self._prune(db, generation)
        return generation

    def begin_anew(self, generation: int, identity: str | None) -> None:
        """Have every projection made anew, whatever it holds: this is another catalogue in the place of one before.

        Args:
            generation: None of them has come as far.
            identity: Of the catalogue before, or None if it is not known: what belongs to that will belong to this one.
        """
        with self._database.write() as (db, _):
            updates.begin_anew(db, generation, identity)

    def set_vectors(self, vectors: Mapping[int, Matrix], embedder: str) -> int:
        """Give chunks their vectors by number, (D,) each, in one transaction; chunks that have gone are passed over."""
        with self._database.write() as (db, generation):
            updates.write_vectors(db, vectors, embedder, generation)
        return generation

    def mark_unread(self, languages: Mapping[int, str], embedder: str) -> int:
        """Note by number which chunks this embedder cannot read, and their language: they get no vector of it."""
        with self._database.write() as (db, generation):
            updates.mark_unread(db, languages, embedder)
        return generation

    def _prune(self, db: sqlite3.Connection, generation: int) -> None:
        if generation % min(PRUNED_EVERY, self._kept) == 0 and (last := generation - self._kept) > 0:
            updates.prune(db, last)

    # Files

    def files(self) -> list[FileRow]:
        """Return the indexed files by path."""
        with self._database.read() as db:
            return queries.files_in_state(db, "indexed")

    def skipped(self) -> list[FileRow]:
        """Return the files that are not indexed, with the reason."""
        with self._database.read() as db:
            return queries.files_in_state(db, "skipped")

    def known(self) -> dict[str, Known]:
        """Return what is known of all files by path, indexed or skipped."""
        with self._database.read() as db:
            return queries.known(db)

    def file(self, source: str) -> FileRow | None:
        """Return one file; None if it is not known."""
        with self._database.read() as db:
            return queries.file_at(db, source)

    def with_sha256(self, sha256: str) -> list[FileRow]:
        """Return the indexed files of that content."""
        with self._database.read() as db:
            return queries.files_with_content(db, sha256)

    # Chunks

    def chunks(self, numbers: Iterable[int]) -> list[StoredChunk]:
        """Return chunks in the order of their numbers in `numbers`; those that have gone are left out."""
        wanted = [int(number) for number in numbers]
        with self._database.read() as db:
            found = queries.chunks_of(db, wanted)
        return [found[number] for number in wanted if number in found]

    def pages(self, size: int = 1000) -> Iterator[list[StoredChunk]]:
        """Yield all chunks by number, `size` at a time.

        Each page shows the state of its own moment: note `generation` before, and ask `changes_since` for it after.
        """
        last = 0
        while True:
            with self._database.read() as db:
                numbers = queries.numbers_after(db, last, size)
                found = queries.chunks_of(db, numbers)
            if not numbers:
                return
            last = numbers[-1]
            yield [found[number] for number in numbers if number in found]

    def numbers(self) -> Numbers:
        """Return the numbers of all chunks, ascending. (N,)."""
        with self._database.read() as db:
            return queries.numbers(db)

    def numbers_matching(self, wanted: Filter) -> Numbers:
        """Return the numbers of chunks with a place that the filter allows, ascending. (N,).

        `after` counts in, `before` does not: periods side by side share nothing.
        """
        if wanted == Filter():
            return self.numbers()
        conditions, values = queries.conditions_of(wanted)
        with self._database.read() as db:
            return queries.numbers_matching(db, conditions, values)

    def chunks_in(self, source: str) -> tuple[Chunk, ...]:
        """Return the chunks of one file in order, as they stand in it; none if there is no such file."""
        with self._database.read() as db:
            return queries.chunks_in(db, source)

    def chunk(self, id: str) -> StoredChunk | None:
        """Return one chunk by its content id; None if there is none."""
        with self._database.read() as db:
            return queries.chunk_by_id(db, id)

    def chunk_ids(self, prefix: str, limit: int) -> list[str]:
        """Return the first content ids that begin so."""
        with self._database.read() as db:
            return queries.chunk_ids(db, prefix, limit)

    def chunk_counts(self) -> dict[str, int]:
        """Count the chunks of each indexed file, by path; files without any are left out."""
        with self._database.read() as db:
            return queries.chunk_counts(db)

    def caption(self, sha256: str) -> str | None:
        """Return the caption that a picture of these bytes has, in whichever file; None if there is none."""
        with self._database.read() as db:
            return queries.caption_of(db, sha256)

    def uncaptioned(self) -> list[tuple[str, str]]:
        """Return source and sha256 of the indexed pictures that have no caption."""
        with self._database.read() as db:
            return queries.uncaptioned(db)

    def of_types(self, media_types: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return source, sha256 and type of the indexed files of these types."""
        with self._database.read() as db:
            return queries.of_types(db, media_types)

    @property
    def is_empty(self) -> bool:
        """Whether there is no chunk; unlike `counts` it costs the same at any size."""
        with self._database.read() as db:
            return queries.is_empty(db)

    def counts(self) -> Counts:
        """Count everything."""
        with self._database.read() as db:
            return queries.counts(db)

    # Vectors

    def vectors(self, numbers: Iterable[int], embedder: str) -> tuple[Numbers, Matrix]:
        """Return the vectors that these chunks have of this embedder: numbers ascending (N,) and rows (N, D)."""
        with self._database.read() as db:
            return queries.vectors_of(db, numbers, embedder)

    def vector_pages(self, embedder: str, size: int = 5000) -> Iterator[tuple[Numbers, Matrix]]:
        """Yield all vectors of this embedder by number, `size` at a time, as `pages` does."""
        last = 0
        while True:
            with self._database.read() as db:
                numbers, matrix = queries.vectors_after(db, embedder, last, size)
            if not len(numbers):
                return
            last = int(numbers[-1])
            yield numbers, matrix

    def vectors_by_id(self, ids: Iterable[str], embedder: str) -> dict[str, Matrix]:
        """Return the vectors of this embedder by content id, (D,) each, for those ids that have one."""
        with self._database.read() as db:
            return queries.vectors_by_id(db, ids, embedder)

    def embedded_ids(self, source: str, embedder: str) -> set[str]:
        """Return the content ids of a file's chunks that have a vector of this embedder."""
        with self._database.read() as db:
            return queries.embedded_ids(db, source, embedder)

    def chunks_without_vector(self, embedder: str) -> Numbers:
        """Return the numbers of chunks that lack a vector of this embedder and could have one, ascending. (N,)."""
        with self._database.read() as db:
            return queries.numbers_without_vector(db, embedder)

    def unread_languages(self, embedder: str) -> dict[str, int]:
        """Count the chunks that this embedder cannot read, by their language, the most frequent first."""
        with self._database.read() as db:
            return queries.unread_languages(db, embedder)

    def lacking_vector(self, numbers: Iterable[int], embedder: str) -> set[int]:
        """Return those of the numbers that have no vector of this embedder, for whatever reason."""
        with self._database.read() as db:
            return queries.lacking_vector(db, numbers, embedder)

    # Projections

    def changes_since(self, generation: int) -> Changes:
        """Return what a projection that stands at `generation` has to do to stand where the catalogue does."""
        with self._database.read() as db:
            return queries.changes_since(db, generation)

    def changed_since(self, generation: int, *, places: bool) -> tuple[Numbers, Numbers]:
        """Return the numbers of chunks that changed since, and the generation of each, ascending by this. (N,), (N,).

        Args:
            generation: After which.
            places: Whether a chunk counts as changed, too, whose file has another name or text around it.
        """
        changed = queries.changed_with_places_since if places else queries.changed_since
        with self._database.read() as db:
            return changed(db, generation)

    def check(self) -> list[str]:
        """Look for damage and return a sentence for each finding. Reads the whole file."""
        with self._database.read() as db:
            return queries.problems(db)

    def _meta(self, key: str) -> object:
        with self._database.read() as db:
            found = queries.meta(db)
        if key not in found:
            raise CatalogueDamaged(self.path, f"its {key} is missing")
        return found[key]

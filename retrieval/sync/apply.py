"""Does what a plan says, file by file, each in one transaction. It decides nothing that the bytes need not tell.

Whatever stops it, the next sync goes on from there: what was told to `progress` is in the catalogue.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from common.safe_text import storable
from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow, Known, Matrix
from retrieval.reading.kept_figures import KeptFigures
from retrieval.reading.kept_lines import KeptLines
from retrieval.reading.picture_passages import renamed, with_caption, with_figures
from retrieval.reading.prepare import Prepared, Task, kind_of, prepare
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import Content
from retrieval.reading.walk import Entry
from retrieval.records import Chunk
from retrieval.sync.chunk_vectors import ChunkVectors
from retrieval.sync.ingestion import Ingestion, Worked
from retrieval.sync.missing_vectors import Progress
from retrieval.sync.plan import Plan, recipes_of
from retrieval.web.origins import notes_on_origin

BATCH_FILES = 64
BATCH_CHUNKS = 64
REMOVED_AT_ONCE = 256


@dataclass(frozen=True)
class _Ready:
    """A file that was read and split and has to be stored."""

    row: FileRow
    chunks: tuple[Chunk, ...]
    vectors: Mapping[str, Matrix]
    is_new: bool


class Application:
    """One plan being carried out."""

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        root: Path,
        recipe: Recipe,
        vectors: ChunkVectors,
        progress: Progress,
        cancel: threading.Event,
    ) -> None:
        """Take the plan; nothing is done yet.

        Args:
            plan: What to do.
            catalogue: Where it is done.
            root: The folder that was seen.
            recipe: How files become chunks.
            vectors: Of the chunks.
            progress: Called after each file that is safely stored.
            cancel: Set it to stop after the file at hand.
        """
        self._plan = plan
        self._catalogue = catalogue
        self._root = root
        self._recipe = recipe
        self._recipes = recipes_of(recipe)
        self._vectors = vectors
        self._progress = progress
        self._cancel = cancel
        self._kept_lines = KeptLines(catalogue.path.parent)
        self._kept_figures = KeptFigures(catalogue.path.parent)
        self._gone = dict(plan.removed)
        self._renameable = {kind: list(sources) for kind, sources in plan.renameable.items()}
        self._touched = dict(plan.change_times)
        self._ready: list[_Ready] = []
        self._done = 0
        self.counts: Counter[str] = Counter(unchanged=plan.unchanged, skipped=plan.skipped)
        """How many files were added, updated, renamed, removed, skipped or left unchanged."""
        self.reasons: list[tuple[str, str]] = []
        """Path and reason of each file that was tried and skipped."""
        self.notes: list[tuple[str, str]] = []
        """Path and note of each file that was not read whole."""

    def run(self, ingestion: Ingestion) -> None:
        """Do all of it, with files prepared by `ingestion`."""
        for entry in self._plan.refused:
            self._skip(entry, entry.reason)
        # New ones first: what moved out of a changed file is then still there and keeps its vectors.
        entries = {entry.source: entry for entry in (*self._plan.added, *self._plan.updated)}
        tasks = [self._task(source) for source in entries]
        updated = [entry.source for entry in self._plan.updated] if ingestion.embeds else []
        embedded = self._vectors.embedded_ids(updated)
        with closing(ingestion.work(self._recipe, tasks, self._renameable.keys(), embedded, self._cancel)) as work:
            for worked in work:
                self._take(entries[worked.source], worked)
                if len(self._ready) >= BATCH_FILES or sum(len(r.chunks) for r in self._ready) >= BATCH_CHUNKS:
                    self._store()
        self._store()
        self._finish()

    def _task(self, source: str) -> Task:
        row = self._plan.before.get(source)
        same = None if row is None else row.sha256 if row.recipe == self._recipes[row.state] else ""
        return Task(source, self._root / source, same)

    def _take(self, entry: Entry, worked: Worked) -> None:
        row, prepared = self._plan.before.get(entry.source), worked.prepared
        if prepared.state == "gone":
            if row:
                self._gone[entry.source] = row
        elif prepared.state == "skipped":
            self._skip(entry, prepared.reason, prepared.content, passing=prepared.passing)
        elif prepared.state == "read":
            self._get_ready(entry, worked)
        elif row is not None:
            self._touch(entry.source, row, prepared)
        elif not self._is_renamed(entry.source, prepared):
            # Another copy has taken the place of the one that has gone.
            self._take(entry, Worked(entry.source, prepare(self._recipe, self._task(entry.source))))

    def _touch(self, source: str, row: Known, prepared: Prepared) -> None:
        assert prepared.content is not None, "the bytes are the same, so they were had"
        content = prepared.content
        touched = row._replace(mtime_ns=content.mtime_ns, recheck=content.recheck, ctime_ns=content.ctime_ns)
        if touched != row:
            self._touched[source] = touched
        self.counts["unchanged" if row.state == "indexed" else "skipped"] += 1

    def _is_renamed(self, source: str, prepared: Prepared) -> bool:
        """Look for a file that has gone with just these bytes, and give it this path."""
        content = prepared.content
        assert content is not None, "the bytes are the same, so they were had"
        kind = kind_of(source, content.sha256)
        same = self._renameable.get(kind)
        before = self._catalogue.file(same.pop()) if same else None
        if not same:
            self._renameable.pop(kind, None)
        if before is None:
            return False
        after = replace(
            before, source=source, mtime_ns=content.mtime_ns, ctime_ns=content.ctime_ns, recheck=content.recheck
        )
        if before.media_type != "image":
            self._catalogue.rename(before.source, after)
        elif not self._rename_picture(before, after):
            return True
        del self._gone[before.source]
        self._stored(source, "renamed")
        return True

    def _rename_picture(self, before: FileRow, after: FileRow) -> bool:
        """Give a picture its new name's words too; return False if it was cancelled first."""
        chunks = renamed(self._catalogue.chunks_in(before.source), after.source)
        vectors = self._vectors.of({chunk.id: chunk for chunk in chunks}, {})
        if vectors is None:
            return False
        # In this order: if it ends in between, the next sync finds that the old one has gone.
        self._catalogue.put_file(after, chunks, vectors, self._vectors.fingerprint)
        self._catalogue.remove_files([before.source])
        return True

    def _get_ready(self, entry: Entry, worked: Worked) -> None:
        content, document = worked.prepared.content, worked.prepared.document
        assert content is not None and document is not None, "it was read"
        row = FileRow(
            source=entry.source,
            sha256=content.sha256,
            size=content.size,
            mtime_ns=content.mtime_ns,
            state="indexed",
            media_type=document.media_type,
            codec=document.codec,
            confidence=document.confidence,
            title=storable(document.title),
            notes=(*document.notes, *notes_on_origin(self._root / entry.source, content.sha256)),
            recipe=self._recipes["indexed"],
            recheck=content.recheck,
            indexed_at=time.time(),
            ctime_ns=content.ctime_ns,
        )
        self._vectors.embedded += len(worked.vectors)
        if worked.embedding_failed:
            self._vectors.give_up(worked.embedding_failed)
        self.notes += [(entry.source, note) for note in document.notes]
        if document.lines:
            self._kept_lines.keep(content.sha256, document.lines)
        is_new = entry.source not in self._plan.before
        chunks = worked.prepared.chunks
        if row.media_type == "image":
            chunks = with_caption(chunks, self._catalogue.caption(row.sha256))
        elif figures := self._kept_figures.of(row.sha256):
            chunks = with_figures(chunks, figures)
        self._ready.append(_Ready(row, chunks, worked.vectors, is_new))

    def _skip(self, entry: Entry, reason: str, content: Content | None = None, *, passing: bool = False) -> None:
        """Note why a file is not indexed.

        What passes by itself, such as a file being written, is looked at again next time and does not take away what
        was indexed before.
        """
        self.reasons.append((entry.source, reason))
        row = self._plan.before.get(entry.source)
        known = row is not None and (row.state, row.reason, row.recheck) == ("skipped", storable(reason), True)
        if not (passing and row and (known or row.state == "indexed")):
            self._catalogue.put_file(
                FileRow(
                    source=entry.source,
                    sha256=content.sha256 if content else "",
                    size=content.size if content else entry.size,
                    mtime_ns=content.mtime_ns if content else entry.mtime_ns,
                    state="skipped",
                    reason=storable(reason),
                    recipe=self._recipes["skipped"],
                    recheck=passing or bool(content and content.recheck),
                    indexed_at=time.time(),
                    ctime_ns=content.ctime_ns if content else entry.ctime_ns,
                )
            )
        self._stored(entry.source, "skipped")

    def _store(self) -> None:
        ready, self._ready = self._ready, []
        made = {id: vector for file in ready for id, vector in file.vectors.items()}
        vectors = self._vectors.of({chunk.id: chunk for file in ready for chunk in file.chunks}, made)
        if vectors is None:
            return
        fingerprint = self._vectors.fingerprint
        for file in ready:
            own = {chunk.id: vectors[chunk.id] for chunk in file.chunks if chunk.id in vectors}
            self._catalogue.put_file(file.row, file.chunks, own, fingerprint)
            self._stored(file.row.source, "added" if file.is_new else "updated")

    def _stored(self, source: str, how: str) -> None:
        self.counts[how] += 1
        self._done += 1
        self._progress(source, self._done, self._plan.total)

    def _finish(self) -> None:
        if self._touched:
            self._catalogue.touch(self._touched)
        gone = list(self._gone)
        for i in range(0, len(gone), REMOVED_AT_ONCE):
            # A file whose new place was not come to yet keeps its chunks for the next sync.
            if self._cancel.is_set():
                return
            self._catalogue.remove_files(gone[i : i + REMOVED_AT_ONCE])
            self.counts["removed"] += len(gone[i : i + REMOVED_AT_ONCE])
        known = {row.sha256 for row in self._catalogue.known().values()}
        self._kept_lines.forget_but(known)
        self._kept_figures.forget_but(known)
        self._vectors.embed_missing(self._progress)

"""Brings the catalogue to where the folder is. It does not read, split or embed by itself, and knows no projection.

Size and time vouch for a file; else its bytes are hashed, and only other bytes are read and split, and only chunks that
no file had are embedded. Each file is one transaction: whatever stops a sync, the next one goes on from there.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue, CatalogueReadOnly
from retrieval.catalogue.rows import FileRow, Known, Matrix
from retrieval.errors import RetrievalError
from retrieval.locks import FileLock
from retrieval.reading.picture_passages import renamed, with_caption
from retrieval.reading.prepare import Prepared, Task, kind_of, prepare
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import Content
from retrieval.reading.walk import Entry, walk
from retrieval.records import Chunk
from retrieval.sync.ingestion import Ingestion, LocalIngestion, Worked
from retrieval.sync.missing_vectors import Embeds, Progress, embed, embed_missing, text_to_embed
from retrieval.web.origins import notes_on_origin

__all__ = ["FolderMissing", "SyncReport", "embed_missing", "sync"]

BATCH_FILES = 64
BATCH_CHUNKS = 64
# A file with more is stored at once, to be found by its words, and gets its vectors after, batch by batch.
MAX_EMBEDDED_AT_ONCE = 512
REMOVED_AT_ONCE = 256


class FolderMissing(RetrievalError):
    """The folder to be indexed is not there; nothing was changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"There is no folder {str(folder)!r}; name one that exists (the index is as it was)")
        self.folder = folder


@dataclass(frozen=True)
class SyncReport:
    """What a sync did; every file of the folder is counted once, removed ones besides."""

    added: int
    updated: int
    renamed: int
    removed: int
    unchanged: int
    """Those whose time alone is another among them."""
    skipped: int
    """Not indexed in their present form, whether tried now or known from before."""
    seconds: float
    embedded: int = 0
    """Chunks that the embedder was asked for."""
    reasons: tuple[tuple[str, str], ...] = ()
    """Path and reason of each file that was tried now and skipped."""
    degraded: tuple[str, ...] = ()
    """What is missing though files were indexed, in words for the user."""
    captioned: int = 0
    """Pictures that got a caption after it."""
    cancelled: bool = False
    """Whether it was stopped before its end; what is counted is done."""


def sync(
    catalogue: Catalogue,
    folder: Path,
    embedder: Embeds | None,
    recipe: Recipe,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    leave_out: Collection[Path] = (),
    ingestion: Ingestion | None = None,
) -> SyncReport:
    """Index what is new or changed in a folder, and forget what has gone.

    One process at a time does this; another one waits for it and then finds its work done.

    Args:
        catalogue: Where it is kept; its own files are left out of the folder.
        folder: Read only, with all folders in it; names that begin with a dot are left out.
        embedder: None leaves chunks without vectors; `embed_missing` or the next sync adds them.
        recipe: How files become chunks.
        progress: Told after each file that it is safely stored, how many are, and of how many.
        cancel: Set it to stop after the file at hand.
        leave_out: Files and folders that are not looked at.
        ingestion: Where files are prepared; None does it in this process.

    Raises:
        FolderMissing: There is no such folder.
        CatalogueError: The catalogue cannot be written; what was reported to `progress` is in it.
    """
    began = time.perf_counter()
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        raise FolderMissing(folder)
    cancel = cancel or threading.Event()
    progress = progress or _say_nothing
    if catalogue.read_only:
        raise CatalogueReadOnly(catalogue.path, "it was opened for reading only")
    lock = FileLock(catalogue.path.with_name(catalogue.path.name + ".lock"))
    try:
        held = lock.acquire(cancel, lambda: progress("waiting for another sync of this knowledge base", 0, 0))
    except OSError as error:
        raise CatalogueReadOnly(catalogue.path, error.strerror or str(error)) from error
    if not held:
        return SyncReport(0, 0, 0, 0, 0, 0, time.perf_counter() - began, cancelled=True)
    try:
        run = _Run(catalogue, root, embedder, recipe, progress, cancel, ingestion or LocalIngestion())
        own = {catalogue.path.with_name(catalogue.path.name + end) for end in ("", "-wal", "-shm", "-journal", ".lock")}
        run.run({os.path.realpath(path) for path in (*own, *leave_out)})
        return run.report(time.perf_counter() - began)
    finally:
        lock.release()


def _say_nothing(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class _Ready:
    """A file that was read and split and has to be stored."""

    row: FileRow
    chunks: tuple[Chunk, ...]
    vectors: Mapping[str, Matrix]
    is_new: bool


class _Run:
    def __init__(
        self,
        catalogue: Catalogue,
        root: Path,
        embedder: Embeds | None,
        recipe: Recipe,
        progress: Progress,
        cancel: threading.Event,
        ingestion: Ingestion,
    ) -> None:
        self._ingestion = ingestion
        self._catalogue = catalogue
        self._root = root
        self._embedder = embedder
        self._recipe = recipe
        self._progress = progress
        self._cancel = cancel
        self._recipes = {
            "indexed": recipe.fingerprint,
            # What is too large under one limit may be read under another.
            "skipped": f"{recipe.fingerprint} {recipe.max_bytes}",
        }
        self._known: Mapping[str, Known] = {}
        self._gone: dict[str, Known] = {}
        self._gone_contents: dict[tuple[str, str], list[str]] = {}
        self._touched: dict[str, Known] = {}
        self._ready: list[_Ready] = []
        self._reasons: list[tuple[str, str]] = []
        self._degraded: list[str] = []
        self._counts: Counter[str] = Counter()
        self._done = self._total = 0

    def report(self, seconds: float) -> SyncReport:
        return SyncReport(
            added=self._counts["added"],
            updated=self._counts["updated"],
            renamed=self._counts["renamed"],
            removed=self._counts["removed"],
            unchanged=self._counts["unchanged"],
            skipped=self._counts["skipped"],
            seconds=seconds,
            embedded=self._counts["embedded"],
            reasons=tuple(self._reasons),
            degraded=tuple(self._degraded),
            cancelled=self._cancel.is_set(),
        )

    def run(self, leave_out: set[str]) -> None:
        # Before the walk: a file that is stored by somebody after it was walked past must not count as gone.
        self._known = self._catalogue.known()
        seen = walk(self._root, leave_out)
        self._gone = {s: row for s, row in self._known.items() if s not in seen.entries and seen.saw(s)}
        for source, row in self._gone.items():
            if row.state == "indexed" and row.recipe == self._recipes["indexed"]:
                self._gone_contents.setdefault(kind_of(source, row.sha256), []).append(source)
        new, changed = list[Entry](), list[Entry]()
        for entry in seen.entries.values():
            before = self._known.get(entry.source)
            if before is None:
                new.append(entry)
            elif self._is_same(before, entry):
                self._counts["unchanged" if before.state == "indexed" else "skipped"] += 1
            else:
                changed.append(entry)
        self._total = len(new) + len(changed)
        # New ones first: what moved out of a changed file is then still there and keeps its vectors.
        entries = {entry.source: entry for entry in (*new, *changed)}
        tasks = []
        for entry in entries.values():
            if entry.reason:
                self._skip(entry, entry.reason)
            else:
                tasks.append(self._task(entry.source))
        gone, embedded = self._gone_contents.keys(), self._embedded(changed)
        with closing(self._ingestion.work(self._recipe, tasks, gone, embedded, self._cancel)) as work:
            for worked in work:
                self._take(entries[worked.source], worked)
                if len(self._ready) >= BATCH_FILES or sum(len(r.chunks) for r in self._ready) >= BATCH_CHUNKS:
                    self._store()
        self._store()
        self._finish()

    def _task(self, source: str) -> Task:
        row = self._known.get(source)
        same = None if row is None else row.sha256 if row.recipe == self._recipes[row.state] else ""
        return Task(source, self._root / source, same)

    def _embedded(self, changed: Sequence[Entry]) -> dict[str, Collection[str]]:
        """Give the ids of changed files' chunks that have a vector, for whoever does not see the catalogue."""
        if self._embedder is None or not self._ingestion.embeds:
            return {}
        embedder = self._embedder.fingerprint
        return {entry.source: self._catalogue.embedded_ids(entry.source, embedder) for entry in changed}

    def _is_same(self, row: Known, entry: Entry) -> bool:
        return (
            (row.size, row.mtime_ns) == (entry.size, entry.mtime_ns)
            and not row.recheck
            and row.recipe == self._recipes[row.state]
            and (not entry.reason or entry.reason == row.reason)
        )

    def _take(self, entry: Entry, worked: Worked) -> None:
        row, prepared = self._known.get(entry.source), worked.prepared
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
        touched = row._replace(mtime_ns=prepared.content.mtime_ns, recheck=prepared.content.recheck)
        if touched != row:
            self._touched[source] = touched
        self._counts["unchanged" if row.state == "indexed" else "skipped"] += 1

    def _is_renamed(self, source: str, prepared: Prepared) -> bool:
        """Look for a file that has gone with just these bytes, and give it this path."""
        content = prepared.content
        assert content is not None, "the bytes are the same, so they were had"
        kind = kind_of(source, content.sha256)
        same = self._gone_contents.get(kind)
        before = self._catalogue.file(same.pop()) if same else None
        if not same:
            self._gone_contents.pop(kind, None)
        if before is None:
            return False
        after = replace(before, source=source, mtime_ns=content.mtime_ns, recheck=content.recheck)
        if before.media_type != "image":
            self._catalogue.rename(before.source, after)
        elif not self._rename_picture(before, after):
            return True
        del self._gone[before.source]
        self._stored(source, "renamed")
        return True

    def _rename_picture(self, before: FileRow, after: FileRow) -> bool:
        """Give a picture its new name's words too; false where it was cancelled first."""
        chunks = renamed(self._catalogue.chunks_in(before.source), after.source)
        vectors = self._vectors({chunk.id: chunk for chunk in chunks}, {})
        if vectors is None:
            return False
        # In this order: if it ends in between, the next sync finds that the old one has gone.
        self._catalogue.put_file(after, chunks, vectors, self._embedder.fingerprint if self._embedder else None)
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
            title=_storable(document.title),
            notes=(*document.notes, *notes_on_origin(self._root / entry.source, content.sha256)),
            recipe=self._recipes["indexed"],
            recheck=content.recheck,
            indexed_at=time.time(),
        )
        self._counts["embedded"] += len(worked.vectors)
        if worked.embedding_failed and self._embedder is not None:
            self._go_on_without_vectors(worked.embedding_failed)
        is_new = entry.source not in self._known
        chunks = worked.prepared.chunks
        if row.media_type == "image":
            chunks = with_caption(chunks, self._catalogue.caption(row.sha256))
        self._ready.append(_Ready(row, chunks, worked.vectors, is_new))

    def _skip(self, entry: Entry, reason: str, content: Content | None = None, *, passing: bool = False) -> None:
        """Note why a file is not indexed.

        What passes by itself, such as a file being written, is looked at again next time and does not take away what
        was indexed before.
        """
        self._reasons.append((entry.source, reason))
        row = self._known.get(entry.source)
        known = row is not None and (row.state, row.reason, row.recheck) == ("skipped", _storable(reason), True)
        if not (passing and row and (known or row.state == "indexed")):
            self._catalogue.put_file(
                FileRow(
                    source=entry.source,
                    sha256=content.sha256 if content else "",
                    size=content.size if content else entry.size,
                    mtime_ns=content.mtime_ns if content else entry.mtime_ns,
                    state="skipped",
                    reason=_storable(reason),
                    recipe=self._recipes["skipped"],
                    recheck=passing or bool(content and content.recheck),
                    indexed_at=time.time(),
                )
            )
        self._stored(entry.source, "skipped")

    def _store(self) -> None:
        ready, self._ready = self._ready, []
        made = {id: vector for file in ready for id, vector in file.vectors.items()}
        vectors = self._vectors({chunk.id: chunk for file in ready for chunk in file.chunks}, made)
        if vectors is None:
            return
        fingerprint = self._embedder.fingerprint if self._embedder else None
        for file in ready:
            own = {chunk.id: vectors[chunk.id] for chunk in file.chunks if chunk.id in vectors}
            self._catalogue.put_file(file.row, file.chunks, own, fingerprint)
            self._stored(file.row.source, "added" if file.is_new else "updated")

    def _vectors(self, chunks: Mapping[str, Chunk], made: dict[str, Matrix]) -> dict[str, Matrix] | None:
        """Get the vectors of chunks by id, `made` or known ones where there are; None where it was cancelled.

        Known ones are given back to the catalogue too: by the time this file is stored, the file that held the same
        chunk may have lost it.
        """
        if not self._embedder or not chunks:
            return {}
        vectors = made | self._catalogue.vectors_by_id(chunks, self._embedder.fingerprint)
        missing = [chunk for chunk in chunks.values() if chunk.id not in vectors]
        if len(missing) > MAX_EMBEDDED_AT_ONCE:
            return vectors
        try:
            new = embed(self._embedder, [text_to_embed(c.headings, c.text) for c in missing], self._cancel)
        except RetrievalError as error:
            self._go_on_without_vectors(str(error))
            return {}
        if new is None:
            return None
        self._counts["embedded"] += len(missing)
        return vectors | {chunk.id: vector for chunk, vector in zip(missing, new, strict=True)}

    def _go_on_without_vectors(self, reason: str) -> None:
        self._degraded.append(f"found by words only until the next sync: {reason}")
        self._embedder = None

    def _stored(self, source: str, how: str) -> None:
        self._counts[how] += 1
        self._done += 1
        self._progress(source, self._done, self._total)

    def _finish(self) -> None:
        if self._touched:
            self._catalogue.touch(self._touched)
        gone = list(self._gone)
        for i in range(0, len(gone), REMOVED_AT_ONCE):
            # A file whose new place was not come to yet keeps its chunks for the next sync.
            if self._cancel.is_set():
                return
            self._catalogue.remove_files(gone[i : i + REMOVED_AT_ONCE])
            self._counts["removed"] += len(gone[i : i + REMOVED_AT_ONCE])
        if self._embedder:
            try:
                self._counts["embedded"] += embed_missing(self._catalogue, self._embedder, self._progress, self._cancel)
            except RetrievalError as error:
                self._go_on_without_vectors(str(error))


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

"""Brings the catalogue to where the folder is: what is known and what is seen make a plan, which is then applied.

Size, modification time and change time vouch for a file; else its bytes are hashed, and only other bytes are read and
split, and only chunks that no file had are embedded. It does not read, split or embed by itself, and knows no
projection.
"""

import os
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue, CatalogueFull, CatalogueReadOnly
from retrieval.errors import RetrievalError
from retrieval.locks import FileLock
from retrieval.reading.recipe import Recipe
from retrieval.reading.walk import walk
from retrieval.sync.apply import Application
from retrieval.sync.chunk_vectors import ChunkVectors
from retrieval.sync.ingestion import Ingestion, LocalIngestion
from retrieval.sync.missing_vectors import Embeds, Progress, embed_missing
from retrieval.sync.plan import plan, recipes_of

__all__ = ["FolderMissing", "SyncReport", "embed_missing", "sync"]


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
    unread: tuple[tuple[str, int], ...] = ()
    """Languages that the embedder does not know, with how many passages of the folder are in them: they have no vector
    and are found by their words."""
    reasons: tuple[tuple[str, str], ...] = ()
    """Path and reason of each file that was tried now and skipped."""
    notes: tuple[tuple[str, str], ...] = ()
    """Path and what was not read of each file that was indexed now and not read whole."""
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
    full: bool = False,
) -> SyncReport:
    """Index what is new or changed in a folder, and forget what has gone.

    One process at a time does this; another one waits for it and then finds its work done.

    Args:
        catalogue: Where it is kept; its own files are left out of the folder.
        folder: Read only, with all folders in it; names that begin with a dot are left out.
        embedder: None leaves chunks without vectors; `embed_missing` or the next sync adds them.
        recipe: How files become chunks.
        progress: Called after each file that it is safely stored, how many are, and of how many.
        cancel: Set it to stop after the file at hand.
        leave_out: Files and folders that are not looked at.
        ingestion: Where files are prepared; None does it in this process.
        full: Compare the bytes of every file, whatever its size and times say.

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
        if catalogue.full:
            raise CatalogueFull(catalogue.path)
        raise CatalogueReadOnly(catalogue.path, "it was opened for reading only")
    lock = FileLock(catalogue.path.with_name(catalogue.path.name + ".lock"))
    try:
        held = lock.acquire(cancel, lambda: progress("waiting for another sync of this knowledge base", 0, 0))
    except OSError as error:
        raise CatalogueReadOnly(catalogue.path, error.strerror or str(error)) from error
    if not held:
        return SyncReport(0, 0, 0, 0, 0, 0, time.perf_counter() - began, cancelled=True)
    try:
        own = {catalogue.path.with_name(catalogue.path.name + end) for end in ("", "-wal", "-shm", "-journal", ".lock")}
        # Before the walk: a file that is stored by somebody after it was walked past must not count as gone.
        known = catalogue.known()
        seen = walk(root, {os.path.realpath(path) for path in (*own, *leave_out)})
        vectors = ChunkVectors(catalogue, embedder, cancel)
        work = Application(
            plan(known, seen, recipes_of(recipe), full=full), catalogue, root, recipe, vectors, progress, cancel
        )
        work.run(ingestion or LocalIngestion())
        return SyncReport(
            added=work.counts["added"],
            updated=work.counts["updated"],
            renamed=work.counts["renamed"],
            removed=work.counts["removed"],
            unchanged=work.counts["unchanged"],
            skipped=work.counts["skipped"],
            seconds=time.perf_counter() - began,
            embedded=vectors.embedded,
            unread=tuple(catalogue.unread_languages(embedder.fingerprint).items()) if embedder else (),
            reasons=tuple(work.reasons),
            notes=tuple(work.notes),
            degraded=tuple(vectors.degraded),
            cancelled=cancel.is_set(),
        )
    finally:
        lock.release()


def _say_nothing(what: str, done: int, total: int) -> None:
    pass

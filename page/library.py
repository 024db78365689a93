"""What the view of the documents asks for: folders, files, skipped ones with their reasons, and syncs. No elements.

Adding and removing works on the library, whose folders are links; documents that were named at the start stay as they
are.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lorgnette.documents import Documents
from page.errors import PageError
from retrieval.library import forget, library_folder, linked_folders, remember

if TYPE_CHECKING:
    from retrieval.catalogue.rows import FileRow
    from retrieval.sync.missing_vectors import Progress
    from retrieval.sync.sync import SyncReport


@dataclass(frozen=True)
class Folder:
    """One folder of the documents."""

    name: str
    """By which its files begin in the knowledge base; empty where the folder was named at the start."""
    path: Path
    files: int
    skipped: int


@dataclass(frozen=True)
class Overview:
    """How the documents stand."""

    folders: tuple[Folder, ...]
    files: "tuple[FileRow, ...]"
    skipped: "tuple[FileRow, ...]"
    chunks: int
    fixed: Path | None
    """The folder that was named at the start; None where folders can be added."""


class Library:
    """The documents of one server."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._syncing = threading.Lock()

    def overview(self) -> Overview:
        """Return how the documents stand; reads the catalogue, so call it on a thread.

        Raises:
            RetrievalError: They cannot be opened.
        """
        base = self._documents.open()
        fixed = None if self.grows else self._documents.settings.kb
        if base is None:
            return Overview((), (), (), 0, fixed)
        files, skipped = tuple(base.catalogue.files()), tuple(base.catalogue.skipped())
        linked = linked_folders(base.folder) if self.grows else {"": base.folder}
        folders = tuple(
            Folder(name, path, _count(files, name), _count(skipped, name)) for name, path in sorted(linked.items())
        )
        return Overview(folders, files, skipped, base.catalogue.counts().chunks, fixed)

    @property
    def grows(self) -> bool:
        """Whether folders can be added and removed."""
        return os.path.realpath(self._documents.settings.kb) == os.path.realpath(library_folder())

    def add(self, folder: str) -> None:
        """Put a folder into the library; a sync then reads it.

        Raises:
            LibraryError: There is no such folder, or it cannot be linked.
            PageError: The documents were named at the start.
        """
        self._must_grow()
        remember(Path(folder.strip().strip('"')).expanduser())

    def remove(self, folder: Path) -> None:
        """Take a folder out of the library; nothing of the folder is touched.

        Raises:
            LibraryError: The link cannot be removed.
            PageError: The documents were named at the start.
        """
        self._must_grow()
        forget(folder)

    def sync(self, progress: "Progress", cancel: threading.Event) -> "SyncReport | None":
        """Bring the index to where the folders are; None where there are none, or where that is being done already.

        Raises:
            RetrievalError: The documents cannot be read.
        """
        base = self._documents.open()
        if base is None or not self._syncing.acquire(blocking=False):
            return None
        try:
            return base.sync(progress, cancel)
        finally:
            self._syncing.release()

    def _must_grow(self) -> None:
        if not self.grows:
            raise PageError("page_folder_named", folder=str(self._documents.settings.kb))


def _count(rows: "tuple[FileRow, ...]", name: str) -> int:
    return sum(not name or row.source.startswith(f"{name}/") for row in rows)

"""Puts the document of an address into a knowledge base's folder, whole or not at all. The next sync indexes it."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from common.atomic_files import is_disk_full
from retrieval.errors import RetrievalError
from retrieval.reading.walk import is_hidden
from retrieval.settings import RetrievalSettings
from retrieval.web.fetch import INTERNET, FetchLimits, Internet, NetworkNotAllowed, fetch
from retrieval.web.origins import Origin, hidden_beside, place_of, write_origin

WEB = "web"


class FolderRefused(RetrievalError):
    """Documents cannot be put into this folder."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(f"Nothing can be added to {folder!r}: {reason}; name a folder inside the knowledge base")
        self.folder, self.reason = folder, reason


def add_address(
    address: str,
    settings: RetrievalSettings,
    folder: str = WEB,
    internet: Internet = INTERNET,
    progress: Callable[[int, int | None], None] | None = None,
) -> str:
    """Fetch a document into a folder of the knowledge base; the same address again replaces its file.

    Args:
        address: `https://...`.
        settings: Which knowledge base, whether the network may be used, and how large a file may be.
        folder: Path in the knowledge base; made if it is not there.
        internet: How the network is reached.
        progress: Told how many bytes came, and of how many, where the server says so.

    Returns:
        The file's path in the knowledge base.

    Raises:
        NetworkNotAllowed: The setting `network` is off; nobody was asked.
        AddressError: It was refused, or could not be had.
        FolderRefused: `folder` leads out, is hidden or cannot be written.
    """
    if not settings.network:
        raise NetworkNotAllowed(address)
    root = Path(os.path.realpath(settings.kb))
    _check_inside(root, folder)
    limits = FetchLimits(bytes=settings.max_file_mib * 1024 * 1024)
    try:
        with _partial_file(root) as (file, partial):
            fetched = fetch(address, file.write, limits, internet, progress)
            file.flush()
            os.fsync(file.fileno())
            host, name = place_of(fetched.address, fetched.suffix)
            inside = PurePosixPath(folder.replace("\\", "/")) / host
            _check_inside(root, str(inside))
            _put(partial, root / inside / name, fetched.address)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise FolderRefused(folder, error.strerror or str(error)) from error
    return str(inside / name)


def _check_inside(root: Path, folder: str) -> None:
    inside = PurePosixPath(folder.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or ":" in folder or "\0" in folder:
        raise FolderRefused(folder, "it leads out of the knowledge base")
    if any(is_hidden(part) for part in inside.parts):
        raise FolderRefused(folder, "hidden folders are not indexed")
    # Links to folders are not followed when the knowledge base is read, wherever they lead.
    if os.path.realpath(root / inside) != str(root / inside):
        raise FolderRefused(folder, "it goes through a link")


@contextmanager
def _partial_file(root: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a hidden file, which no sync sees; gone afterwards unless it was moved."""
    descriptor, name = tempfile.mkstemp(prefix=".fetching-", suffix=".part", dir=root)
    try:
        with open(descriptor, "wb") as file:
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _put(partial: Path, path: Path, address: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Before the file: a sync that meets it must find both. A crash in between leaves the old file as it was.
    with partial.open("rb") as file:
        write_origin(path, Origin(address, time.time()), hashlib.file_digest(file, "sha256").hexdigest())
    partial.replace(path)
    # The address may have given another type before; it has one document.
    for old in path.parent.glob(f"{path.stem}.*"):
        if old.name != path.name:
            old.unlink()
            hidden_beside(old).unlink(missing_ok=True)

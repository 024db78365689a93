"""Puts a damaged catalogue aside and a new one in its place, with all that could be read of the damaged one.

It embeds nothing and reads no documents: the next sync finds what is missing. The damaged file is never deleted or
changed, and stays where it is until the new one is whole.
"""

import errno
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.damaged import DamagedCatalogue, KeptFile
from retrieval.catalogue.database import COMPANIONS, CatalogueError, CatalogueFull, CatalogueReadOnly, beside
from retrieval.catalogue.rows import Counts, FileRow
from retrieval.locks import FileLock
from retrieval.reading.chunks import chunk_id
from retrieval.records import Chunk

HOMELESS = "(salvaged passages)"
"""Stands for a file in the catalogue until the next sync, so that passages whose file was lost keep their vectors."""
HOMELESS_AT_ONCE = 2000
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class SalvageStopped(CatalogueError):
    """There was no room for the new catalogue."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"There is no room for a new catalogue beside {str(path)!r}, which is as it was; free some space and run "
            "`lorgnette kb doctor` again",
        )


@dataclass(frozen=True)
class Salvaged:
    """What could be kept."""

    aside: Path
    """Where the damaged file is now."""
    files: int
    lost_files: int
    """Known by name, but not whole; others may have been lost with their names."""
    chunks: int
    """Those of lost files that could be read among them."""
    vectors: int


def check_contents(catalogue: Catalogue) -> list[str]:
    """Hold every passage against its content id; each finding is a sentence. Reads the whole catalogue."""
    wrong = sum(chunk_id(c.headings, c.text) != c.id for page in catalogue.pages() for c in page)
    return [f"{wrong} passages are not what was stored"] if wrong else []


def salvage(path: Path, *, anew: bool = False) -> Salvaged:
    """Replace a catalogue by a new one that holds what can be read of it.

    Args:
        path: The catalogue; no sync runs meanwhile, and processes that have it open go on with the new one.
        anew: Keep nothing, whatever it is, a newer version's too.

    Raises:
        CatalogueNewer: A newer version wrote it; it was not touched.
        SalvageStopped: The disk is full; it was not touched.
        CatalogueReadOnly: Its folder cannot be written.
    """
    new_path = beside(path, ".salvaged")
    try:
        with FileLock(beside(path, ".lock")):
            try:
                _clear(new_path)
                lost, counts = _make(path, new_path, anew)
                if beside(new_path, "-wal").exists():  # closing could not bring everything into the file
                    raise SalvageStopped(path)
                aside = _exchange(path, new_path)
            finally:
                _clear(new_path)
    except CatalogueFull as error:
        raise SalvageStopped(path) from error
    except OSError as error:
        if error.errno in _FULL:
            raise SalvageStopped(path) from error
        raise CatalogueReadOnly(path, error.strerror or str(error)) from error
    return Salvaged(aside, counts.files, lost, counts.chunks, sum(counts.vectors.values()))


def _make(path: Path, new_path: Path, anew: bool) -> tuple[int, Counts]:
    """Fill a new catalogue; return how many files were lost and what it holds."""
    new = Catalogue(new_path, scratch=True)
    try:
        lost, identity, generation = (0, None, 0) if anew else _copy(path, new)
        counts = new.counts()
        # Seconds since 1970 are more than any catalogue has had transactions, whatever its projections remember.
        new.begin_anew(max(generation, counts.generation, int(time.time())) + 1, identity)
        homeless = sum(row.source.startswith(HOMELESS) for row in new.files())
        return lost, replace(counts, files=counts.files - homeless)
    finally:
        new.close()


def _copy(path: Path, new: Catalogue) -> tuple[int, str | None, int]:
    """Copy all that can be read; return how many files were lost, and the catalogue's identity and generation."""
    damaged = DamagedCatalogue(path, new.path)
    try:
        placed, lost = set[int](), 0
        for file in damaged.files():
            if file is None:
                lost += 1
            else:
                placed.update(file.numbers)
                _put(damaged, new, file)
        homeless = ((number, chunk) for number, chunk in damaged.chunks() if number not in placed)
        for i, page in enumerate(_pages(homeless)):
            numbers, chunks = zip(*page, strict=True)
            row = FileRow(f"{HOMELESS} {i}", sha256="", size=0, mtime_ns=0, state="indexed")
            _put(damaged, new, KeptFile(row, chunks, numbers))
        return lost, damaged.identity, damaged.generation
    finally:
        damaged.close()


def _put(damaged: DamagedCatalogue, new: Catalogue, file: KeptFile) -> None:
    embedder, vectors = damaged.vectors(sorted(set(file.numbers)))
    pairs = zip(file.numbers, file.chunks, strict=True)
    new.put_file(file.row, file.chunks, {c.id: vectors[n] for n, c in pairs if n in vectors}, embedder)


def _pages(homeless: Iterator[tuple[int, Chunk]]) -> Iterator[list[tuple[int, Chunk]]]:
    while page := list(itertools.islice(homeless, HOMELESS_AT_ONCE)):
        yield page


def _exchange(path: Path, new: Path) -> Path:
    """Rename the damaged file, give its name to the new one, and return what the damaged one is called now."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    stamp = time.strftime("%Y%m%d-%H%M%S")
    again = itertools.chain([""], (f"-{i}" for i in itertools.count(2)))
    aside = next(name for end in again if not (name := beside(path, f".damaged-{stamp}{end}")).exists())
    # The log first: beside another file it would be taken for that one's. Its index is made anew whenever it is needed.
    beside(path, "-shm").unlink(missing_ok=True)
    for end in ("-wal", "-journal", ""):
        with suppress(FileNotFoundError):
            beside(path, end).rename(beside(aside, end))
    log = beside(aside, "-wal")
    if log.exists() and not log.stat().st_size:
        log.unlink()
    new.rename(path)
    return aside


def _clear(path: Path) -> None:
    for end in ("", ".lock", ".new", *COMPANIONS):
        beside(path, end).unlink(missing_ok=True)

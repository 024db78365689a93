"""The vectors of what documents look like, kept in one file a model beside the catalogue. It makes none.

The file can be deleted at any time. A picture has one vector, another document one for each of its figures.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.atomic_files import write_whole
from retrieval.vectors import Vectors

FOLDER = "looks"
_PAGES = ".pages"
_UNFINISHED = -1


@dataclass(frozen=True)
class Looks:
    """What is known of one document. Letters: N figures, D dimensions."""

    vectors: Vectors
    """(N, D), of length 1."""
    pages: tuple[int, ...]
    """Of each, from 1; 0 where there is none."""
    whole: bool = True
    """False where there may be more figures than have been looked at."""


def looks_file(place: Path, fingerprint: str) -> Path:
    """Return where the vectors of a model are kept."""
    return place / FOLDER / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}-2.npz"


def read_looks(path: Path) -> dict[str, Looks]:
    """Return what is kept by the hashes of documents; nothing where there is no file, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {}
            for name in (name for name in file.files if not name.endswith(_PAGES)):
                pages = [int(page) for page in file[name + _PAGES]]
                whole = pages[-1:] != [_UNFINISHED]
                found[name] = Looks(file[name], tuple(pages if whole else pages[:-1]), whole)
            return found
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return {}


def write_looks(path: Path, looks: Mapping[str, Looks]) -> None:
    """Keep what is known; where that cannot be done it is found out again."""
    arrays: dict[str, np.ndarray] = {}
    for name, one in looks.items():
        arrays[name] = one.vectors
        arrays[name + _PAGES] = np.asarray([*one.pages, *([] if one.whole else [_UNFINISHED])], np.int64)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue(), private=True, durable=False)

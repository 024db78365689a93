"""Lines that OCR read, kept beside the catalogue: to read a picture takes seconds. It reads none.

A file of lines is named after the bytes they were read from. It can be deleted at any time: lines are then read again
where that is worth it.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from common.atomic_files import write_whole
from retrieval.records import Line, Region

FOLDER = "lines"


class KeptLines:
    """The files of one knowledge base."""

    def __init__(self, place: Path) -> None:
        self._folder = place / FOLDER

    def keep(self, sha256: str, lines: Sequence[Line]) -> None:
        """Write the lines of a file's bytes; where that cannot be done, they are read again when they are needed."""
        rows = [[line.text, line.turned, *astuple(line.region)] for line in lines]
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(sha256), json.dumps(rows).encode(), private=True, durable=False)

    def of(self, sha256: str) -> tuple[Line, ...] | None:
        """Return the lines of a file's bytes; None where none were kept."""
        try:
            rows = json.loads(self._path(sha256).read_bytes())
            return tuple(Line(text, Region(*place), turned) for text, turned, *place in rows)
        except (OSError, ValueError, TypeError):
            return None

    def forget_but(self, kept: set[str]) -> None:
        """Delete the lines of all other bytes."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix == ".json" and path.stem not in kept:
                    path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.json"

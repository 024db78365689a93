"""Lines that OCR read, kept beside the catalogue: to read a picture takes seconds. It reads none.

A file of lines is named after the bytes they were read from. It can be deleted at any time: lines are then read again
where that is worth it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from retrieval.reading.kept_rows import KeptRows
from retrieval.records import Line, Region

FOLDER = "lines"


class KeptLines:
    """The files of one knowledge base."""

    def __init__(self, place: Path) -> None:
        self._files = KeptRows(place / FOLDER)

    def keep(self, sha256: str, lines: Sequence[Line]) -> None:
        """Write the lines of a file's bytes; where that cannot be done, they are read again when they are needed."""
        with suppress(OSError):
            self._files.write(sha256, [[line.text, line.turned, *astuple(line.region)] for line in lines])

    def of(self, sha256: str) -> tuple[Line, ...] | None:
        """Return the lines of a file's bytes; None where none were kept."""
        try:
            return tuple(Line(text, Region(*place), turned) for text, turned, *place in self._files.read(sha256))
        except (OSError, ValueError, TypeError):
            return None

    def forget_but(self, kept: set[str]) -> None:
        """Delete the lines of all other bytes."""
        self._files.forget_but(kept)

"""What is known of the figures inside documents, kept beside the catalogue: where they stand, and their captions.

A file is named after the bytes of its document. It can be deleted at any time: figures are then looked for, and
described, again. It opens no document.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.atomic_files import write_whole
from retrieval.records import Region

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "figures"


@dataclass(frozen=True)
class KnownFigure:
    """A picture inside a document."""

    page: int | None
    """Or slide, from 1; None where the document has none."""
    region: Region | None
    """Where it stands on a page that can be shown."""
    caption: str | None = None
    """None until there is one."""


@dataclass(frozen=True)
class Figure:
    """A picture inside a document, as it is seen."""

    image: "Image.Image"
    """RGB."""
    sha256: str
    """Of its pixels."""
    page: int | None = None
    region: Region | None = None


class KeptFigures:
    """The files of one knowledge base."""

    def __init__(self, place: Path) -> None:
        self._folder = place / FOLDER

    def keep(self, sha256: str, figures: Sequence[KnownFigure]) -> None:
        """Write down a document's figures, in its order; raises OSError where that cannot be done."""
        rows = [[one.page, one.region and astuple(one.region), one.caption] for one in figures]
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(sha256), json.dumps(rows).encode(), private=True, durable=False)

    def of(self, sha256: str) -> tuple[KnownFigure, ...] | None:
        """Return the figures of a document's bytes; None where nobody has looked for them."""
        try:
            rows = json.loads(self._path(sha256).read_bytes())
            return tuple(KnownFigure(page, Region(*region) if region else None, text) for page, region, text in rows)
        except (OSError, ValueError, TypeError):
            return None

    def forget_but(self, kept: set[str]) -> None:
        """Delete what is known of all other documents."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix == ".json" and path.stem not in kept:
                    path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.json"

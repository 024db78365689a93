"""What is known of the figures inside documents, kept beside the catalogue: where they stand, and their captions.

A file is named after the bytes of its document. It can be deleted at any time: figures are then looked for, and
described, again. It opens no document.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.reading.kept_rows import KeptRows
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
    caption: str = ""
    """What the document itself says of it; empty where that is not known."""


class KeptFigures:
    """The files of one knowledge base."""

    def __init__(self, place: Path) -> None:
        self._files = KeptRows(place / FOLDER)

    def keep(self, sha256: str, figures: Sequence[KnownFigure]) -> None:
        """Write down a document's figures, in its order; raises OSError where that cannot be done."""
        self._files.write(sha256, [[one.page, one.region and astuple(one.region), one.caption] for one in figures])

    def of(self, sha256: str) -> tuple[KnownFigure, ...] | None:
        """Return the figures of a document's bytes; None where nobody has looked for them."""
        try:
            rows = self._files.read(sha256)
            return tuple(KnownFigure(page, Region(*region) if region else None, text) for page, region, text in rows)
        except (OSError, ValueError, TypeError):
            return None

    def forget_but(self, kept: set[str]) -> None:
        """Delete what is known of all other documents."""
        self._files.forget_but(kept)

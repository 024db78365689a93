"""Where a passage stands: the file, the picture of its page, and the words around it. It shows nothing."""

import os
from dataclasses import dataclass
from pathlib import Path

from lorgnette.documents import Documents
from page.pictures import Pictures, Shown
from retrieval.search.verify import inside

AROUND_CHARS = 2_000
"""So much of a text is shown before and behind the words."""
PICTURED = ("pdf", "image")


@dataclass(frozen=True)
class Place:
    """What a citation and a hit have in common."""

    source: str
    page: int | None
    start: int
    end: int
    quote: str


@dataclass(frozen=True)
class CitedPage:
    """What can be shown of a place."""

    picture: Shown | None
    """Of the page; none where the document has no pages that can be drawn."""
    before: str = ""
    quote: str = ""
    after: str = ""
    stale: bool = False
    """Whether the file has changed or gone since it was read."""


def cited_page(place: Place, documents: Documents, pictures: Pictures) -> CitedPage:
    """Look a place up; reads the file, so call it on a thread.

    Where citations carry regions, this is the place to frame them: they are in thousandths of `picture`.

    Raises:
        LorgnetteError: The documents cannot be opened, or the page cannot be drawn.
    """
    base = documents.required()
    row = base.catalogue.file(place.source)
    path = inside(Path(os.path.realpath(base.folder)), place.source)
    if row is None or path is None:
        return CitedPage(None, quote=place.quote, stale=True)
    text = base.full_text(row)
    shown = None
    if row.media_type in PICTURED:
        part = f"page={place.page}" if place.page is not None and row.media_type == "pdf" else ""
        shown = pictures.measured(pictures.of_file(path, part))
    if text.text[place.start : place.end].strip() != place.quote.strip():
        return CitedPage(shown, quote=place.quote, stale=text.stale)
    return CitedPage(
        shown,
        before=text.text[max(0, place.start - AROUND_CHARS) : place.start],
        quote=text.text[place.start : place.end],
        after=text.text[place.end : place.end + AROUND_CHARS],
        stale=text.stale,
    )

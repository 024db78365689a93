"""Where a passage stands: the picture of its page, its words framed, and those around it. It shows nothing."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from lorgnette.documents import Documents
from page.pictures import Pictures, Shown

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
    asked: str = ""
    """Question or answer: the sentence that shares most words with it is the one that is framed."""


@dataclass(frozen=True)
class CitedPage:
    """What can be shown of a place."""

    picture: Shown | None
    """Of the page, the words on a light ground and framed; none where the document has no pages that can be drawn."""
    before: str = ""
    quote: str = ""
    after: str = ""
    stale: bool = False
    """Whether the file has changed or gone since it was read; nothing is framed then."""
    note: str = ""
    """Why the page is not shown, though there is one."""


def cited_page(place: Place, documents: Documents, pictures: Pictures) -> CitedPage:
    """Look a place up; reads the file, so call it on a thread.

    Raises:
        LorgnetteError: The documents cannot be opened.
    """
    from lorgnette.page_pictures import PagePictures
    from retrieval.regions.locate import PageMissing, Placement
    from retrieval.search.verify import inside

    base = documents.required()
    row = base.catalogue.file(place.source)
    if row is None or inside(Path(os.path.realpath(base.folder)), place.source) is None:
        return CitedPage(None, quote=place.quote, stale=True)
    text = base.full_text(row)
    found = CitedPage(None, quote=place.quote, stale=text.stale)
    if row.media_type in PICTURED:
        drawing, at = PagePictures(base), Placement(place.source, place.page, place.start, place.end, place.quote)
        try:
            shown = pictures.measured(pictures.of_file(drawing.keep(drawing.of_cited(at, place.asked))))
            found = replace(found, picture=replace(shown, name=Path(place.source).name))
        except PageMissing as error:
            found = replace(found, note=str(error))
    if text.text[place.start : place.end].strip() != place.quote.strip():
        return found
    return replace(
        found,
        before=text.text[max(0, place.start - AROUND_CHARS) : place.start],
        quote=text.text[place.start : place.end],
        after=text.text[place.end : place.end + AROUND_CHARS],
    )

"""A picture as a query: what can be read in it and what the model says of it, with the user's own words in front."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import LorgnetteError
from graph.fields.sources import ocr_sheets, page_sheets
from model.pictures.open import open_picture
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from PIL import Image

    from retrieval.knowledge_base import KnowledgeBase
    from retrieval.records import Filter, SearchOutcome
    from retrieval.sync.captions import Captioner

MOST_WORDS = 60
"""Of what can be read in the picture."""
MOST_CHARS = 1_000
CUT = "image: the first {count} of its {all} words are searched for"
NO_CAPTION = "image: searched for by the words in it alone, {reason}"
NO_MODEL = "no model describes pictures here (captions)"
NOT_READ = "image: no words can be read in it"


class PictureSaysNothing(LorgnetteError):
    """There is nothing to search for."""

    def __init__(self, notes: Sequence[str]) -> None:
        self.notes = tuple(notes)
        why = "; ".join(note.removeprefix("image: ") for note in notes)
        super().__init__(f"There is nothing to search for in the picture ({why}); give words with it.")


@dataclass(frozen=True)
class PictureQuery:
    """What is searched for."""

    text: str
    """Empty where there are no words."""
    notes: tuple[str, ...]
    """What of the picture was not used, and why."""
    image: "Image.Image"


def picture_query(
    source: str,
    words: str,
    roots: Sequence[Path],
    captioner: "Captioner | None" = None,
    cancel: threading.Event | None = None,
) -> PictureQuery:
    """Return what to search for where a picture is given.

    Args:
        source: The picture, as `ask` takes it; of several pages the first.
        words: The user's own; they stand in front, and may be empty.
        roots: Folders that may be read.
        captioner: Who describes the picture; None if nobody does.
        cancel: Set it to do without the description.

    Raises:
        ImageError: The picture is refused.
    """
    picture, notes = open_picture(source, roots), list[str]()
    sheets, unread = page_sheets([picture], notes)
    sheets += ocr_sheets(unread, lambda: False, notes)
    notes = [note.replace("fields: values from pictures are unproven", "image: not read") for note in notes]
    read = [word.text for sheet in sheets for row in sheet.rows for word in row.words]
    if len(read) > MOST_WORDS:
        notes.append(CUT.format(count=MOST_WORDS, all=f"{len(read):,}"))
    if not read:
        notes.append(NOT_READ)
    caption, reason = "", NO_MODEL
    if captioner is not None:
        try:
            caption = captioner.caption(picture.image, picture.sha256, cancel or threading.Event()).text
        except RetrievalError as error:
            reason = str(error).rstrip(".")
    if not caption.strip():
        notes.append(NO_CAPTION.format(reason=reason))
    text = " ".join(filter(None, (words.strip(), " ".join(caption.split()), " ".join(read[:MOST_WORDS]))))
    text = text[:MOST_CHARS] if any(map(str.isalnum, text)) else ""
    return PictureQuery(text, tuple(notes), picture.image)


def search_with_picture(
    base: "KnowledgeBase", asked: PictureQuery, top_k: int, wanted: "Filter | None" = None, *, wait_s: float = 0.0
) -> "SearchOutcome":
    """Search for a picture's words, and for pictures that look like it where somebody compares them.

    The relevant passages come first, then the pictures, then the weak passages; one place is the pictures'.

    Raises:
        PictureSaysNothing: There are no words, and nobody compares pictures.
        RetrievalError: The documents cannot be searched.
    """
    from retrieval.reading.picture_passages import CAPTION, PICTURE
    from retrieval.records import SearchOutcome

    alike, notes = base.alike(asked.image, top_k, wanted)
    notes = (*asked.notes, *notes)
    if not asked.text and not alike:
        raise PictureSaysNothing(notes)
    found = base.search(asked.text, top_k, wanted, wait_s=wait_s) if asked.text else SearchOutcome((), "image")
    seen = {hit.source for hit in found.hits if hit.match == "relevant"}
    places = {(hit.source, hit.start) for hit in found.hits if hit.match == "relevant"}
    # A picture is found once; a document whose words are relevant may show what is looked for elsewhere.
    looks = [
        hit
        for hit in alike
        if (hit.source not in seen if hit.headings[:1] in (PICTURE, CAPTION) else (hit.source, hit.start) not in places)
    ]
    first = [hit for hit in found.hits if hit.match == "relevant"][: top_k - bool(looks)]
    taken = {(hit.source, hit.start) for hit in (*first, *looks)}
    last = [hit for hit in found.hits if hit.match == "weak" and (hit.source, hit.start) not in taken]
    mode = f"{found.mode}+image" if alike and asked.text else found.mode
    return replace(found, hits=(*first, *looks, *last)[:top_k], mode=mode, degraded=(*found.degraded, *notes))

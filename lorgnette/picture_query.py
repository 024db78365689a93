"""A picture as a query: what can be read in it and what the model says of it, with the user's own words in front."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import LorgnetteError
from graph.fields.sources import ocr_sheets, page_sheets
from model.pictures.open import open_picture
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
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

    def __init__(self, source: str, notes: Sequence[str]) -> None:
        self.source, self.notes = source, tuple(notes)
        why = "; ".join(notes)
        super().__init__(f"There is nothing to search for in {source[:120]!r} ({why}); give words with it.")


@dataclass(frozen=True)
class PictureQuery:
    """What is searched for."""

    text: str
    notes: tuple[str, ...]
    """What of the picture was not used, and why."""


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
        PictureSaysNothing: There are no words, neither with it nor in it nor of it.
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
    if not any(map(str.isalnum, text)):
        raise PictureSaysNothing(picture.source, notes)
    return PictureQuery(text[:MOST_CHARS], tuple(notes))

"""The whole text of an indexed document, in which the positions of its passages count. It searches and changes nothing.

A text file is read again. PDFs and pictures are not, since recognising their words takes long: they are put together
from their passages, as is a file that has changed since.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import Unreadable
from retrieval.records import Chunk
from retrieval.search.verify import inside, is_stale

READ_AGAIN = {
    "text", "markdown", "csv", "log", "html", "spreadsheet", "opendocument", "book", "rtf", "notebook", "code", "json",
}  # fmt: skip


@dataclass(frozen=True)
class FullText:
    """A document's text as it was indexed."""

    text: str
    complete: bool
    """Whether it is the decoded file; else blanks stand where no passage does."""
    stale: bool
    """Whether the file has changed or gone since."""


def full_text(catalogue: Catalogue, folder: Path, row: FileRow, recipe: Recipe) -> FullText:
    """Give the text of a file that the catalogue knows."""
    if row.media_type in READ_AGAIN and (text := _read_again(folder, row, recipe)) is not None:
        return FullText(text, complete=True, stale=False)
    return FullText(_joined(catalogue.chunks_in(row.source)), complete=False, stale=is_stale(folder, row))


def _read_again(folder: Path, row: FileRow, recipe: Recipe) -> str | None:
    root = Path(os.path.realpath(folder))
    path = inside(root, row.source)
    if path is None:
        return None
    try:
        content = read_content(path, recipe.max_bytes)
        # By its own name, as sync does: the type comes from the name, not from what a link leads to.
        return recipe.read(root / row.source, content.data).text if content.sha256 == row.sha256 else None
    except (OSError, Unreadable):
        return None


def _joined(chunks: Sequence[Chunk]) -> str:
    """Put passages, which may overlap, where they stand."""
    parts, at = [], 0
    for chunk in chunks:
        if chunk.end <= at:
            continue
        if chunk.start > at:
            parts.append(" " * (chunk.start - at - 1) + "\n")
        parts.append(chunk.text[max(0, at - chunk.start) :])
        at = chunk.end
    return "".join(parts)

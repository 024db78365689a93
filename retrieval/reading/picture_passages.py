"""What makes a picture findable besides the words in it: its file's name and its caption, as passages of their own.

They follow the picture's own words, first the name, then the caption, each under a heading that says what it is, so
that nobody takes them for words of the picture. It makes no captions and opens nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from retrieval.reading.chunks import chunk_id
from retrieval.reading.kept_figures import KnownFigure
from retrieval.records import Chunk, Document

# A word that questions about pictures have: it is searched with the name.
PICTURE = ("picture",)
CAPTION = ("caption",)
FIGURE = "figure"
"""Over the captions of the figures inside a document, with the figure's number behind it."""
_BETWEEN = "\n\n"
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def with_name(document: Document, chunks: Sequence[Chunk], source: str) -> tuple[Document, tuple[Chunk, ...]]:
    """Add the file's name to a picture and its chunks; other documents stay as they are."""
    if document.media_type != "image":
        return document, tuple(chunks)
    text = f"{document.text}{_BETWEEN}" if document.text else ""
    name = _chunk(PICTURE, path_words(source), len(text))
    return replace(document, text=text + name.text), (*chunks, name)


def with_caption(chunks: Sequence[Chunk], caption: str | None) -> tuple[Chunk, ...]:
    """Add a caption to the chunks of a picture that has its name."""
    if caption is None or not chunks:
        return tuple(chunks)
    return (*chunks, _chunk(CAPTION, caption, chunks[-1].end + len(_BETWEEN)))


def with_figures(chunks: Sequence[Chunk], figures: Sequence[KnownFigure]) -> tuple[Chunk, ...]:
    """Add the captions of its figures to the chunks of a document, in place of those that it has."""
    own = [chunk for chunk in chunks if chunk.headings[:1] != (FIGURE,)]
    at = max((chunk.end for chunk in own), default=0)
    added = list[Chunk]()
    for number, figure in enumerate(figures, 1):
        if figure.caption is not None:
            at += len(_BETWEEN) if at else 0
            headings = (FIGURE, str(number))
            id = chunk_id(headings, figure.caption)
            added.append(Chunk(id, figure.caption, at, at + len(figure.caption), figure.page, headings))
            at += len(figure.caption)
    return (*own, *added)


def figures_text(text: str, figures: Sequence[KnownFigure]) -> str:
    """Return a document's text with the captions of its figures behind it."""
    captions = [figure.caption for figure in figures if figure.caption is not None]
    return _BETWEEN.join([text.rstrip(), *captions]) if captions else text


def renamed(chunks: Sequence[Chunk], source: str) -> tuple[Chunk, ...]:
    """Give a picture's chunks another file name; its words are not read again."""
    at = next(i for i, chunk in enumerate(chunks) if chunk.headings == PICTURE)
    caption = next((chunk.text for chunk in chunks[at:] if chunk.headings == CAPTION), None)
    return with_caption((*chunks[:at], _chunk(PICTURE, path_words(source), chunks[at].start)), caption)


def described_text(document: Document, source: str, caption: str | None) -> str:
    """Return all that is indexed of a file; of a picture, its name and caption too."""
    text = with_name(document, (), source)[0].text
    return text if caption is None or document.media_type != "image" else f"{text}{_BETWEEN}{caption}"


def _chunk(headings: tuple[str, ...], text: str, start: int) -> Chunk:
    return Chunk(chunk_id(headings, text), text, start, start + len(text), None, headings)


def path_words(source: str) -> str:
    """Write a path so that its words can be found: RedCar as Red Car, and as one line of real characters."""
    legible = source.encode("utf-8", "backslashreplace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in _HUMP.sub(" ", legible)).split())

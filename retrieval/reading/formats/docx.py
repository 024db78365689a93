"""Turns a Word document into text: headings as `headings.find_headings` finds them, paragraphs, lists, tables.

Headers, footers, notes and comments follow the body, each kind under a heading of its own; pictures are read by OCR.
A part that cannot be read is a note. What the archive claims to unpack to is limited first.
"""

import io
import re
import zipfile
import zlib
from typing import Any

from retrieval.reading.formats.archive import DAMAGE, LOST, check_archive, child, local, parse_xml, value
from retrieval.reading.formats.drawing_words import chart_lines, diagram_lines
from retrieval.reading.formats.inner_pictures import InnerPictures
from retrieval.reading.formats.package import Package
from retrieval.reading.formats.word_text import Styles, WordText, read_styles
from retrieval.reading.headings import heading_line
from retrieval.reading.unreadable import Broken, Empty
from retrieval.records import Document

_MIN_PICTURE_BYTES = 200
# In the order in which they follow the body; the type of a relationship ends so. What a header names, a footer often
# goes on about ("valid until ..."), so that both are one part.
_BESIDE = {
    ("header", "footer"): "Header and footer", ("footnotes",): "Footnotes", ("endnotes",): "Endnotes",
    ("comments",): "Comments", ("diagramData",): "Diagram", ("chart",): "Chart",
}  # fmt: skip
_EMBEDDED = {"package": "an embedded file", "oleObject": "an embedded object", "aFChunk": "an embedded document"}


def is_docx(data: bytes) -> bool:
    """Return whether a zip archive is a Word document."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "word/document.xml" in archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False


def read_docx(data: bytes, *, max_unpacked_bytes: int) -> Document:
    """Read a Word document.

    Raises:
        Broken: The archive or the XML of its body is damaged.
        Empty: There are no words in it.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    from lxml.etree import LxmlError

    check_archive(data, max_unpacked_bytes, "Word document")
    notes: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            word = _Word(archive, notes)
            lines, title = word.lines(), word.title()
    except (LxmlError, zipfile.BadZipFile, zlib.error) as error:
        raise Broken("Word document", str(error)) from None
    except DAMAGE as error:
        raise Broken("Word document", f"{type(error).__name__}: {error}") from None
    text = "".join(lines).strip()
    if not re.search(r"\w", text):
        raise Empty("the document has no text")
    first = next((line for line in lines if line.startswith("#")), "")
    return Document(text, "docx", title=title or first.strip("# \n"), notes=tuple(notes))


class _Word:
    """An open Word document."""

    def __init__(self, archive: zipfile.ZipFile, notes: list[str]) -> None:
        self._archive = archive
        self._package = Package(archive, notes)
        self._notes = notes
        self._pictures = InnerPictures(notes, "in it were not read")
        self._main = self._package.main("word/document.xml")

    def lines(self) -> list[str]:
        """Return the body and what stands beside it."""
        root = parse_xml(self._archive.read(self._main))
        related = self._package.related(self._main)
        styles = Styles()
        for kind, _, part in related:
            if kind == "styles" and (read := self._package.parse(part)) is not None:
                styles = read_styles(read)
        lines = WordText(styles, self._words_in_pictures(self._main)).read(_body(root))
        for wanted, title in _BESIDE.items():
            found: list[str] = []
            for kind, part in dict.fromkeys((kind, part) for kind, _, part in related):
                if kind in wanted and (inner := self._package.parse(part)) is not None:
                    found += [line for line in self._beside(part, inner, styles) if line not in found]
            if any(line.strip() for line in found):
                lines += [heading_line(1, title) + "\n\n", *found]
        if embedded := sorted({_EMBEDDED[kind] for kind, _, _ in related if kind in _EMBEDDED}):
            self._notes.append(f"{' and '.join(embedded)} in it could not be read; save it as a file of its own")
        return lines

    def title(self) -> str:
        """Return the title of the document's properties."""
        for kind, _, part in self._package.related(""):
            if kind == "core-properties" and (root := self._package.parse(part)) is not None:
                return " ".join(("".join(e.text or "" for e in root if local(e) == "title")).split())
        return ""

    def _beside(self, part: str, root: Any, styles: Styles) -> list[str]:
        pictures = self._words_in_pictures(part)
        if local(root) in ("footnotes", "endnotes", "comments"):
            lines = []
            for note in root:
                read = WordText(styles, pictures).read(note)
                author = value(note, "author") if local(note) == "comment" else None
                # The first two notes are the lines that separate; they are empty.
                if any(line.strip() for line in read):
                    lines += [f"{author}: {read[0]}", *read[1:]] if author else read
            return lines
        if local(root) in ("hdr", "ftr"):
            return WordText(styles, pictures).read(root)
        return [f"{line}\n" for line in (chart_lines(root) or diagram_lines(root))] + ["\n"]

    def _words_in_pictures(self, part: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        seen: dict[str, list[str]] = {}
        for kind, id, picture in self._package.related(part):
            if kind == "image":
                if picture not in seen:
                    seen[picture] = self._words_in_picture(picture)
                found[id] = seen[picture]
        return found

    def _words_in_picture(self, part: str) -> list[str]:
        try:
            return self._pictures.words(lambda: self._archive.read(part))
        except LOST as error:
            self._notes.append(f"its picture {part} could not be read ({getattr(error, 'reason', error)})")
            return []


def _body(root: Any) -> Any:
    body = child(root, "body")
    if body is None:
        raise ValueError("it has no body")
    return body

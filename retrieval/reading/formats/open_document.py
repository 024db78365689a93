"""Turns OpenDocument texts and presentations into text with headings; OCR reads their pictures."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from retrieval.reading.formats.archive import DAMAGE, LOST, check_archive, local, parse_part, value
from retrieval.reading.formats.inner_pictures import InnerPictures
from retrieval.reading.headings import escape, heading_line
from retrieval.reading.unreadable import Broken, Empty, Encrypted
from retrieval.records import Document

_UNSEEN = frozenset(("tracked-changes", "sequence-decls", "forms", "desc"))


def read_open_document(data: bytes, *, max_unpacked_bytes: int) -> Document:
    """Read an OpenDocument text or presentation.

    Raises:
        Broken: It is damaged.
        Empty: There are no words in it.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    check_archive(data, max_unpacked_bytes, "OpenDocument")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = parse_part(archive, "META-INF/manifest.xml", "OpenDocument", needed=False)
        if manifest is not None and any(local(e) == "encryption-data" for e in manifest.iter()):
            raise Encrypted
        root = parse_part(archive, "content.xml", "OpenDocument")
        notes: list[str] = []
        blocks = _Blocks(_pictures_in(archive, notes))
        try:
            lines = list(blocks.of(root))
        except DAMAGE as error:
            raise Broken("OpenDocument", f"{type(error).__name__}: {error}") from None
        styles = parse_part(archive, "styles.xml", "OpenDocument", needed=False)
        beside = [] if styles is None else [e for e in styles.iter() if local(e) in ("header", "footer")]
        for part in beside:
            lines += blocks.of(part)
    text = "".join(lines).strip()
    if not re.search(r"\w", text):
        raise Empty("the document has no text")
    title = next((line for line in lines if line.startswith("#")), "").strip("# \n")
    return Document(text, "opendocument", title=title, notes=tuple(notes))


class _Blocks:
    """The lines of one document, those that OCR read in its pictures where these stand."""

    def __init__(self, words: Callable[[str], list[str]]) -> None:
        self._words_in = words

    def of(self, element: Any) -> Iterator[str]:
        for inner in element:
            name = local(inner)
            if name in ("h", "p"):
                level = value(inner, "outline-level") or "1"
                mark = heading_line(int(level) if level.isdecimal() else 1, "") if name == "h" else ""
                yield from self._line(inner, mark)
            elif name == "list-item":
                for line in self.of(inner):
                    yield line if line.startswith("- ") else f"- {line.rstrip()}\n"
            elif name == "table-row":
                yield from self._row(inner)
            elif name == "page":
                yield heading_line(1, value(inner, "name") or "Page") + "\n\n"
                yield from self.of(inner)
            elif name == "notes":
                yield from (f"Notes: {line}" for line in self.of(inner))
            elif name == "image":
                yield from self._picture(inner)
            elif name not in _UNSEEN:
                yield from self.of(inner)

    def _row(self, row: Any) -> Iterator[str]:
        cells = [" ".join("".join(self.of(cell)).split()) for cell in row if local(cell) == "table-cell"]
        if any(cells):
            yield escape(" | ".join(cells)) + "\n"

    def _picture(self, image: Any) -> Iterator[str]:
        if lines := self._words_in(value(image, "href") or ""):
            yield "".join(f"{escape(line)}\n" for line in lines) + "\n"

    def _line(self, paragraph: Any, mark: str) -> Iterator[str]:
        boxes: list[Any] = []
        text = " ".join("".join(_words(paragraph, boxes)).split())
        if text:
            yield (f"{mark}{text}" if mark else escape(text)) + "\n\n"
        for box in boxes:
            yield from self._picture(box) if local(box) == "image" else self.of(box)


def _words(element: Any, boxes: list[Any]) -> Iterator[str]:
    yield element.text or ""
    for inner in element:
        name = local(inner)
        if name in ("s", "tab", "line-break"):
            yield " "
        elif name in ("text-box", "note-body", "annotation", "table", "image"):
            boxes.append(inner)
        elif name not in ("note-citation", "desc", "creator", "date"):
            yield from _words(inner, boxes)
        yield inner.tail or ""


def _pictures_in(archive: zipfile.ZipFile, notes: list[str]) -> Callable[[str], list[str]]:
    """Return what reads the words of a picture by its name in the archive, each picture once."""
    inner = InnerPictures(notes, "in it were not read")

    @cache
    def words(name: str) -> list[str]:
        if not name.startswith("Pictures/"):
            return []
        try:
            return inner.words(lambda: archive.read(name))
        except LOST as error:
            notes.append(f"its picture {name} could not be read ({getattr(error, 'reason', error)})")
            return []

    return words

"""What a workbook says outside of its cells: comments, text boxes, charts, each with its sheet and its place."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from retrieval.reading.formats.archive import local, value
from retrieval.reading.formats.drawing_words import box_lines, chart_lines, diagram_lines
from retrieval.reading.formats.package import Package
from retrieval.reading.headings import escape, heading_line

_WORKBOOK = "xl/workbook.xml"
_OLD_PROGRAMS = "[Threaded comment]"  # what a conversation's copy for older programs begins with


def read_margins(data: bytes, notes: list[str]) -> dict[str, str]:
    """Return a part of text by the name of each sheet that has such words, under a heading of the second level.

    Args:
        data: The workbook; one of before 2007 and OpenDocument have none that can be read here.
        notes: Takes which parts could not be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            book = _Book(Package(archive, notes))
            return {
                name: "\n".join((heading_line(2, "Comments, text boxes and charts"), "", *map(escape, lines)))
                for name, part in book.sheets()
                if (lines := list(dict.fromkeys(book.lines(part))))
            }
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return {}


class _Book:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._main = package.main(_WORKBOOK)

    def sheets(self) -> Iterator[tuple[str, str]]:
        """Yield name and part of each sheet; where the names are written in binary, the parts' own."""
        parts = {id: part for kind, id, part in self._package.related(self._main) if kind.endswith("sheet")}
        root = self._package.parse(self._main) if self._main.endswith(".xml") else None
        named = [] if root is None else [sheet for sheet in root.iter() if local(sheet) == "sheet"]
        for sheet in named:
            if part := parts.pop(value(sheet, "id") or "", None):
                yield " ".join((value(sheet, "name") or "").split()), part
        for part in parts.values():
            yield part.rpartition("/")[2].partition(".")[0], part

    def lines(self, sheet: str) -> Iterator[str]:
        """Yield the words beside a sheet's cells."""
        for kind, part in dict.fromkeys((kind, part) for kind, _, part in self._package.related(sheet)):
            if not part.endswith(".xml"):
                continue
            if kind in ("comments", "threadedComment") and (root := self._package.parse(part)) is not None:
                yield from _comments(root)
            if kind == "drawing":
                yield from self._drawing(part)

    def _drawing(self, part: str) -> Iterator[str]:
        if (root := self._package.parse(part)) is not None:
            yield from box_lines(root)
        for kind, inner in dict.fromkeys((kind, inner) for kind, _, inner in self._package.related(part)):
            if kind == "chart" and (root := self._package.parse(inner)) is not None:
                yield from chart_lines(root)
            if kind == "diagramData" and (root := self._package.parse(inner)) is not None:
                yield from diagram_lines(root)


def _comments(root: Any) -> Iterator[str]:
    authors = ["".join(author.itertext()) for author in root.iter() if local(author) == "author"]
    for comment in root.iter():
        if local(comment) not in ("comment", "threadedComment"):
            continue
        said = " ".join("".join(t.text or "" for t in comment.iter() if local(t) in ("t", "text")).split())
        number = value(comment, "authorId") or ""
        author = authors[int(number)] if number.isdecimal() and int(number) < len(authors) else ""
        if said and not said.startswith(_OLD_PROGRAMS):
            # Programs begin a comment with its author's name.
            author = "" if said.startswith(author) else author
            yield ": ".join(filter(None, (value(comment, "ref") or "", author, said)))

"""Names the nearest place of a passage in a document: rows and cells, a slide, paragraphs, lines.

It counts in the document's text and opens nothing.
"""

import re
from collections.abc import Callable

from retrieval.records import MediaType

_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_BAR = re.compile(r"(?<!\\) \| ")
_LINES = ("text", "code", "log", "csv", "json", "notebook", "markdown")
_PARAGRAPHS = ("docx", "html", "opendocument", "book", "mail", "rtf")


def name_place(
    media_type: MediaType | None, page: int | None, start: int, end: int, text: Callable[[], str | None]
) -> str | None:
    """Name the place of a passage.

    Args:
        media_type: Of the document.
        page: On which it begins, where the document has pages.
        start: First character.
        end: Exclusive.
        text: The document's text; asked only where it is counted in; none where it is not to be had.
    """
    if page is not None:
        return f"slide {page}" if media_type == "slides" else f"page {page}"
    if media_type == "image" or media_type is None or (whole := text()) is None:
        return None
    while start < end and whole[start : start + 1].isspace():
        start += 1
    while end > start and whole[end - 1 : end].isspace():
        end -= 1
    if media_type == "spreadsheet":
        return _cells(whole, start, end)
    if media_type in _LINES:
        return _numbered("line", whole.count("\n", 0, start) + 1, whole.count("\n", start, end))
    if media_type in _PARAGRAPHS:
        first = sum(1 for line in whole[:start].split("\n")[:-1] if line.strip()) + 1
        return _numbered("paragraph", first, sum(1 for line in whole[start:end].split("\n") if line.strip()) - 1)
    return None


def _numbered(kind: str, first: int, more: int) -> str:
    return f"{kind}s {first} to {first + more}" if more > 0 else f"{kind} {first}"


def _cells(whole: str, start: int, end: int) -> str | None:
    """Name sheet and rows, and the cell where it is one: each row of a sheet is a line below its heading."""
    headings = [*_HEADING.finditer(whole, 0, start + 1)][-1:] or [*_HEADING.finditer(whole, start, end)][:1]
    if not headings:
        return None
    heading = headings[0]
    sheet = f"sheet {heading[1]!r}"
    begin = max(start, min(heading.end() + 1, end))
    row = whole.count("\n", heading.end(), begin)
    following = _HEADING.search(whole, begin, end)
    last = len(whole[begin : following.start() if following else end].rstrip())
    more = whole.count("\n", begin, begin + last)
    if more:
        return f"{sheet}, rows {row} to {row + more}"
    line = whole.rfind("\n", 0, begin) + 1
    if _BAR.search(whole, begin, begin + last):
        return f"{sheet}, row {row}"
    return f"{sheet}, cell {_column(len(_BAR.findall(whole, line, begin)))}{row}"


def _column(number: int) -> str:
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name

"""Turns a Word document into text: headings as `headings.find_headings` finds them, paragraphs, lists, tables.

Pictures, comments, footnotes, headers and footers are not read. What the archive claims to unpack to is limited first.
"""

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from retrieval.reading.headings import escape, heading_line
from retrieval.reading.unreadable import Broken, Empty, Encrypted, TooLarge
from retrieval.records import Document

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

_MAX_PARTS = 10_000
_HEADING_STYLE = re.compile(r"Heading ([1-9])$")


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
        Broken: The archive or its XML is damaged.
        Empty: There are no words in it.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    _check_archive(data, max_unpacked_bytes)
    try:
        # python-docx parses without entities, network or huge trees.
        word = docx.Document(io.BytesIO(data))
        lines = [line for part in word.iter_inner_content() for line in _lines(part)]
        title = " ".join((word.core_properties.title or "").split())
    # What python-docx lets through when a part is missing or is not what it should be.
    except (OpcError, LxmlError, zipfile.BadZipFile, zlib.error) as error:
        raise Broken("Word document", str(error)) from None
    except (KeyError, ValueError, AttributeError, IndexError, TypeError, EOFError, NotImplementedError) as error:
        raise Broken("Word document", f"{type(error).__name__}: {error}") from None
    text = "".join(lines).strip()
    if not re.search(r"\w", text):
        raise Empty("the document has no text")
    first = next((line for line in lines if line.startswith("#")), "")
    return Document(text, "docx", title=title or first.strip("# \n"))


def _check_archive(data: bytes, max_unpacked_bytes: int) -> None:
    # The sizes may lie, but zipfile unpacks no more than they say.
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Broken("Word document", str(error)) from None
    if any(part.flag_bits & 1 for part in parts):
        raise Encrypted
    if len(parts) > _MAX_PARTS:
        raise TooLarge("the number of its parts", len(parts), _MAX_PARTS)
    size = sum(part.file_size for part in parts)
    if size > max_unpacked_bytes:
        raise TooLarge("its unpacked size in bytes", size, max_unpacked_bytes)


def _lines(part: "Paragraph | Table") -> list[str]:
    """Return a paragraph as one line, or a table as one line a row, with their line breaks."""
    from docx.table import Table

    if isinstance(part, Table):
        rows = [" | ".join(_cells(part, number)) for number in range(len(part.rows))]
        return [*(f"{escape(row)}\n" for row in rows if row.strip(" |")), "\n"]
    text = " ".join(part.text.split())
    if not text:
        return []
    style = part.style.name if part.style is not None and part.style.name else ""
    if style == "Title":
        return [heading_line(1, text) + "\n\n"]
    if heading := _HEADING_STYLE.match(style):
        return [heading_line(int(heading[1]), text) + "\n\n"]
    if style.startswith("List"):
        return [f"- {text}\n"]
    return [escape(text) + "\n\n"]


def _cells(table: "Table", row: int) -> list[str]:
    cells = []
    last = None
    for cell in table.rows[row].cells:
        # A merged cell is listed once for each column that it covers.
        if cell._tc is not last:
            cells.append(" ".join(cell.text.split()))
        last = cell._tc
    return cells

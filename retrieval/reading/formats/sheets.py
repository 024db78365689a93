"""Turns a workbook (Excel of any age, OpenDocument) into text: each sheet under its name, a line a row.

Comments, text boxes and charts follow the cells of their sheet. Values are those that the program saved last; formulas
are not computed. A row of the sheet is a line, empty ones too, so that a line's number in its sheet is the row's.
"""

import datetime
import io
import re

from retrieval.reading.formats.archive import check_archive
from retrieval.reading.formats.sheet_margins import read_margins
from retrieval.reading.headings import escape, heading_line
from retrieval.reading.unreadable import Broken, Empty, Encrypted
from retrieval.records import Document

_MAX_CELLS = 3_000_000


def read_workbook(data: bytes, *, max_unpacked_bytes: int) -> Document:
    """Read a workbook.

    Raises:
        Broken: It is damaged.
        Empty: No cell has a word.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    if data.startswith(b"PK"):
        check_archive(data, max_unpacked_bytes, "workbook")
    notes: list[str] = []
    parts: list[str] = []
    margins = read_margins(data, notes) if data.startswith(b"PK") else {}
    cells = 0
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for name in book.sheet_names:
            sheet = book.get_sheet_by_name(name)
            cells += sheet.height * sheet.width
            if cells > _MAX_CELLS:
                notes.append(f"the sheet {name!r} and those after it were not read: more than {_MAX_CELLS:,} cells")
                break
            rows = [_row(row) for row in sheet.to_python(skip_empty_area=False)]
            while rows and not rows[-1]:
                rows.pop()
            name = " ".join(name.split())
            beside = margins.pop(name, "")
            if rows or beside:
                parts.append("\n".join((heading_line(1, name), *rows, *filter(None, (beside,)))))
    except PasswordError:
        raise Encrypted from None
    except (CalamineError, ValueError, OSError, KeyError, IndexError) as error:
        raise Broken("workbook", str(error)) from None
    parts += [f"{heading_line(1, name)}\n{beside}" for name, beside in margins.items()]
    text = "\n\n".join(parts)
    if not re.search(r"\w", "".join(part.partition("\n")[2] for part in parts)):
        raise Empty("no cell has a word")
    return Document(text, "spreadsheet", notes=tuple(notes))


def _row(values: list[object]) -> str:
    cells = [_cell(value) for value in values]
    while cells and not cells[-1]:
        cells.pop()
    return escape(" | ".join(cells))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return " ".join(str(value).split())

"""The fields of a batch as a table: a row a document, of each field its value, whether it is proven, and its page.

It reads the file of the answers, which is the truth, and writes the table whole or not at all.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.atomic_files import write_whole
from common.safe_text import one_line
from graph.answer import FieldValue
from lorgnette.batch.errors import BatchError
from lorgnette.batch.rows import BadRow, Row, id_key
from lorgnette.people_text import is_standing

_VALUES = TypeAdapter(list[FieldValue])
_FORMULA = re.compile(r"[=+@\t\r-]")
_NUMBER = re.compile(r"[-+]?[\d.,\s]+")


@dataclass(frozen=True)
class Document:
    """What was found in a document of a batch."""

    row: Row | BadRow
    name: str
    """As its row names what was looked at."""
    values: list[FieldValue] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    """What went wrong or was not sure."""
    done: bool = True
    """Whether it was asked."""

    @property
    def unproven(self) -> int:
        """How many values nobody has proven."""
        return sum(one.status != "agrees" for one in self.values)


def documents_of(rows: Sequence[Row | BadRow], answers: Path) -> list[Document]:
    """Return what the file of the answers has of each row; rows without an answer stand there with none."""
    lines: dict[str, dict[str, object]] = {}
    with suppress(OSError), answers.open("rb") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):
                read = json.loads(line)
                lines[id_key(read["id"])] = read
    return [_document(row, lines.get(id_key(row.id))) for row in rows]


def write_table(path: Path, documents: Sequence[Document], fields: Sequence[str] = ()) -> None:
    """Write the table as CSV in UTF-8 with its mark, as spreadsheets want it.

    Args:
        path: Its folder is there.
        documents: In the order of the rows.
        fields: Those that were asked for; others that answers have come behind them.

    Raises:
        BatchError: It cannot be written.
    """
    names = list(dict.fromkeys([*fields, *(one.name for document in documents for one in document.values)]))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ("document", *(column for name in names for column in (name, f"{name}_status", f"{name}_page")), "notes")
    table.writerow(map(_cell, columns))
    for document in documents:
        cells = [cell for name in names for cell in _cells(document, name)]
        table.writerow(map(_cell, (document.name, *cells, "; ".join(document.notes))))
    try:
        write_whole(path, text.getvalue().encode("utf-8-sig", "backslashreplace"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError("batch_output_unwritable", path=str(path), reason=reason) from None


def _document(row: Row | BadRow, line: dict[str, object] | None) -> Document:
    name = ", ".join(map(_shown, row.question.images)) or row.question.text if isinstance(row, Row) else str(row.id)
    if line is None:
        return Document(row, name, [], ("not asked yet",), done=False)
    if "error" in line:
        return Document(row, name, [], (str(line["error"]),))
    degraded = line.get("degraded")
    notes = tuple(note for note in map(str, degraded) if not is_standing(note)) if isinstance(degraded, list) else ()
    with suppress(ValidationError):
        return Document(row, name, _VALUES.validate_python(line.get("fields") or []), notes)
    return Document(row, name, [], (*notes, "its values cannot be read"))


def _shown(image: str) -> str:
    return image.partition(",")[0] if image.startswith("data:") else image


def _cells(document: Document, name: str) -> Iterator[object]:
    """Give value, status and page; of several values of one name all, proven where each is."""
    values = [one for one in document.values if one.name == name]
    yield "; ".join(one.value for one in values if one.value)
    yield ("agrees" if all(one.status == "agrees" for one in values) else "unproven") if values else ""
    yield "; ".join(_unique(str(one.page) for one in values if one.page is not None))


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _cell(value: object) -> str:
    """Return a cell's text, which a spreadsheet must not take for a formula."""
    text = one_line(str(value))
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text

"""The rows of a batch: questions of a JSON lines file, or one question about each picture of a folder.

A row that cannot be read is a row too, with its error, so that it costs the others nothing. It opens no picture and
asks nobody.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from graph.question import Question
from graph.settings import Effort
from lorgnette.batch.errors import BatchError, RowError
from model.pictures.files import SUFFIXES

RowId = str | int


@dataclass(frozen=True)
class Row:
    """One question of a batch."""

    id: RowId
    """As the row gives it, else made of the row's content."""
    question: Question


@dataclass(frozen=True)
class BadRow:
    """A line that is no question."""

    id: RowId
    """As far as it could be read, else made of the line."""
    error: RowError


class _Given(BaseModel):
    """A line as users write it; null is the same as leaving a key out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: StrictStr | StrictInt | None = None
    question: StrictStr | None = None
    image: StrictStr | None = None
    images: tuple[StrictStr, ...] | None = None
    session_id: StrictStr | None = None
    use_knowledge: bool | None = None
    effort: Effort | None = None
    max_new_tokens: int | None = Field(None, ge=1, le=8192)
    fields: tuple[StrictStr, ...] | None = None
    time_budget_s: float | None = Field(None, gt=0)


def read_rows(source: Path, default: Question) -> list[Row | BadRow]:
    """Return the rows of a batch, each id once, in the order of the file or of the names.

    Args:
        source: A file with a JSON object in each line, or a folder of pictures, which is searched through; where fields
            are wanted, of pictures and PDFs.
        default: What holds where a row says nothing; its text is asked about each picture of a folder.

    Raises:
        BatchError: There is no row, or the source cannot be read.
    """
    try:
        if source.is_dir():
            if not default.text:
                raise BatchError("batch_question_missing")
            rows: list[Row | BadRow] = [
                _row_of(_Given(image=str(path)), default) for path in _pictures(source, _kinds(default))
            ]
        elif source.exists():
            rows = list(_rows_of_lines(source, default))
        else:
            raise BatchError("batch_missing", path=str(source))
    except OSError as error:
        raise BatchError("batch_unreadable", path=str(source), reason=error.strerror or error) from None
    if not rows:
        raise BatchError("batch_empty", path=str(source))
    return rows


def in_order_of_work(rows: Sequence[Row]) -> list[Row]:
    """Return the rows so that what was read of a picture serves the next one too.

    Rows of one session stay in their order; rows that begin with the same picture stand together, and in between rows
    of like length.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        asked = row.question
        about = asked.images[0] if asked.images else ""
        groups.setdefault(("session", asked.session_id) if asked.session_id else ("picture", about), []).append(row)
    for (kind, _), group in groups.items():
        if kind == "picture":
            group.sort(key=_effort_of_reading)
    ordered = sorted(groups.values(), key=lambda group: max(map(_effort_of_reading, group)))
    return [row for group in ordered for row in group]


def _effort_of_reading(row: Row) -> tuple[int, tuple[str, ...], int]:
    return len(row.question.images), row.question.images[1:], len(row.question.text)


def count_others(folder: Path, default: Question, own: Sequence[Path]) -> int:
    """Return how many files of a folder, but for the batch's own, are asked nothing: no pictures and no PDFs."""
    others = [path for path in _files(folder) if not path.name.lower().endswith(_kinds(default))]
    ours = {os.path.realpath(path) for path in own}
    return sum(os.path.realpath(path) not in ours for path in others)


def _kinds(default: Question) -> tuple[str, ...]:
    return (*SUFFIXES, ".pdf") if default.fields else SUFFIXES


def _pictures(folder: Path, kinds: tuple[str, ...]) -> Iterator[Path]:
    return (path for path in _files(folder) if path.name.lower().endswith(kinds))


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _rows_of_lines(path: Path, default: Question) -> Iterator[Row | BadRow]:
    seen: dict[str, Question | None] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = _row(line, number, default)
            key, asked = id_key(row.id), row.question if isinstance(row, Row) else None
            if key not in seen:
                seen[key] = asked
                yield row
            elif seen[key] != asked:
                yield BadRow(_made_id(f"{number}", line.decode("utf-8", "replace")), _taken(number, row.id))


def _taken(number: int, row_id: RowId) -> RowError:
    return RowError("row_id_taken", line=number, id=row_id)


def _row(line: bytes, number: int, default: Question) -> Row | BadRow:
    given: Any = None
    try:
        given = json.loads(line.decode("utf-8-sig"))
        if not isinstance(given, dict):
            raise ValueError("it is no JSON object")
        return _row_of(_Given.model_validate(given), default)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        extra = first["type"] == "extra_forbidden"
        problem = f"{first['loc'][0]!r} " + ("is no key of a row" if extra else f"cannot be so, {_small(first['msg'])}")
    except (ValueError, RecursionError) as error:
        problem = str(error) if given is not None else f"it is no JSON, {_small(str(error))}"
    row_id = given.get("id") if isinstance(given, dict) else None
    if not isinstance(row_id, str | int) or isinstance(row_id, bool):
        row_id = _made_id(line.decode("utf-8", "replace").strip())
    return BadRow(row_id, RowError("row_invalid", line=number, reason=problem))


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _row_of(given: _Given, default: Question) -> Row:
    if given.image is not None and given.images is not None:
        raise ValueError("it has both 'image' and 'images'")
    own = given.model_dump(exclude={"id", "question", "image", "images"}, exclude_none=True)
    text = given.question if given.question is not None else default.text
    if not text.strip():
        raise ValueError("it has no 'question'")
    images = given.images or (() if given.image is None else (given.image,))
    question = Question(**{**asdict(default), **own, "text": text, "images": images})
    return Row(_made_id(_said(question)) if given.id is None else given.id, question)


def _said(question: Question) -> dict[str, Any]:
    """Return what differs from a bare question: ids stay the same when questions get a field more."""
    bare = asdict(Question(""))
    return {key: value for key, value in asdict(question).items() if value != bare[key]}


def id_key(row_id: RowId) -> str:
    """Return an id as text that tells 1 from "1"."""
    return json.dumps(row_id)


def _made_id(*content: object) -> str:
    written = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]

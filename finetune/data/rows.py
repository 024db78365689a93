"""Reads a data file into numbered rows: CSV, JSON, JSON Lines, Parquet, folders of `save_to_disk`; not what it means.

A row that cannot be parsed is a row with a reason; only a file of which nothing can be read is an error.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError

TABLES = (".csv", ".tsv")
SUFFIXES = (*TABLES, ".json", ".jsonl", ".parquet")
FIELD_CHARS = 16 * 2**20  # longest field of a CSV; Python's own limit is 128 KiB
STATE, PARTS = "state.json", "dataset_dict.json"
"""What `save_to_disk` writes beside the rows of one data set, and above several."""
BATCH_ROWS = 32  # of Parquet, held in memory at once
_MARKED = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class DatasetNotFound(FinetuneError):
    """There is no such file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"There is no data file {str(path)!r}; check the path.")


class DatasetUnreadable(FinetuneError):
    """The file cannot be opened, or nothing in it can be read."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{str(path)!r} cannot be read as data: {reason}; repair it or write it again.")


class DatasetKindUnknown(FinetuneError):
    """A file of another kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{str(path)!r} is no {', '.join(SUFFIXES)} file; convert it to one of them.")


class DatasetNeedsPyarrow(FinetuneError):
    """A Parquet file or a folder of Arrow files without the package that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{str(path)!r} needs the package 'pyarrow' to be read; run `pip install pyarrow`.")


@dataclass(frozen=True)
class Row:
    """One row as the file has it."""

    line: int
    """From 1: the line of a CSV or JSON Lines file, the place in the list of a JSON or Parquet file."""
    value: Any
    """None where it could not be parsed."""
    reason: str | None = None
    """Why it could not."""


def read_rows(path: Path) -> Iterator[Row]:
    """Return the rows in their order; a JSON file that is one object is one row, its value that object.

    Raises:
        DatasetNotFound, DatasetUnreadable, DatasetKindUnknown, DatasetNeedsPyarrow: As they say, before the first row.
    """
    suffix = path.suffix.lower()
    if is_saved(path):
        return _saved(path)
    if suffix not in SUFFIXES:
        raise DatasetNotFound(path) if not path.exists() else DatasetKindUnknown(path)
    if suffix == ".parquet":
        return _parquet(path)
    text = _text(path)
    if suffix in TABLES:
        return _table(path, text)
    if suffix == ".jsonl" and not text.lstrip().startswith("["):  # else a list under another name
        return _lines(text)
    return _json(path, text)


def is_saved(path: Path) -> bool:
    """Return whether a folder is one data set as `save_to_disk` of Hugging Face's datasets writes it, or several."""
    return (path / STATE).is_file() or (path / PARTS).is_file()


def _saved(path: Path) -> Iterator[Row]:
    """Return the rows of such a folder.

    Raises:
        DatasetUnreadable: It holds several parts, or not the files that it names.
        DatasetNeedsPyarrow: Without the package.
    """
    try:
        import pyarrow
    except ImportError:
        raise DatasetNeedsPyarrow(path) from None
    try:
        if (path / PARTS).is_file():
            parts = json.loads((path / PARTS).read_text("utf-8")).get("splits", [])
            raise DatasetUnreadable(path, f"it holds the parts {', '.join(map(str, parts))}; name one: {path}/PART")
        state = json.loads((path / STATE).read_text("utf-8"))
        files = [path / str(each["filename"]) for each in state["_data_files"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DatasetUnreadable(path, f"its {STATE} or {PARTS} cannot be read ({error})") from None
    for file in files:
        if not file.is_file():
            raise DatasetUnreadable(path, f"it lacks {file.name!r}")
    return _arrow(files, pyarrow.ArrowException)


def _arrow(files: list[Path], refusal: type[Exception]) -> Iterator[Row]:
    import pyarrow

    place = 0
    try:
        for file in files:
            with pyarrow.memory_map(str(file)) as opened, pyarrow.ipc.open_stream(opened) as stream:
                for batch in stream:
                    for start in range(0, batch.num_rows, BATCH_ROWS):
                        for value in batch.slice(start, BATCH_ROWS).to_pylist():
                            place += 1
                            yield Row(place, value)
    except (OSError, refusal) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        yield Row(place + 1, None, f"broken Arrow file ({reason}); nothing from here on could be read")


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise DatasetUnreadable(path, "it is no file")  # a pipe would be waited for
        data = path.read_bytes()
    except FileNotFoundError:
        raise DatasetNotFound(path) from None
    except OSError as error:
        raise DatasetUnreadable(path, error.strerror or "it cannot be opened") from None
    marked = [codec for mark, codec in _MARKED.items() if data.startswith(mark)]
    for codec in marked or ("utf-8", "gb18030"):  # what Excel writes in China has no mark
        if not marked and {0} in (set(data[:20:2]), set(data[1:20:2])):  # UTF-16, which would pass for UTF-8
            break
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    raise DatasetUnreadable(path, "it is neither UTF-8, UTF-16 with a mark, nor GB18030")


def _table(path: Path, text: str) -> Iterator[Row]:
    """Return the rows of a table.

    Raises:
        DatasetUnreadable: Two columns have one name.
    """
    csv.field_size_limit(FIELD_CHARS)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(path, text), strict=True)
    header: list[str] = []
    try:
        while not any(header):
            header = [name.strip() for name in next(lines)]
    except StopIteration:
        return iter(())
    except csv.Error as error:
        return iter([Row(1, None, f"broken CSV ({error}); the lines from here on could not be told apart")])
    for name in header:
        if name and header.count(name) > 1:
            raise DatasetUnreadable(path, f"two columns are named {name!r}")
    return _records(lines, header)


def _separator(path: Path, text: str) -> str:
    """Return what stands between fields: a .csv of Excel in much of Europe has semicolons, others have tabs."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    header = next(iter(text.lstrip().splitlines()), "")
    return max(",;\t", key=header.count)  # the first of the most frequent


def _records(lines: Any, header: list[str]) -> Iterator[Row]:
    while True:
        line = lines.line_num + 1  # a quoted field may span lines: the row is named by its first
        try:
            fields = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, None, f"broken CSV ({error}); the lines from here on could not be told apart")
            return
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            yield Row(line, None, f"{len(fields)} fields where the header has {len(header)}")
        else:
            yield Row(line, dict(zip(header, fields, strict=True)))


def _lines(text: str) -> Iterator[Row]:
    # not splitlines, which also ends a line at U+2028 and others, legal inside JSON text
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value, reason = _parsed(line)
            yield Row(number, value, reason)


def _parsed(text: str) -> tuple[Any, str | None]:
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        return None, f"broken JSON: {error.msg} at character {error.pos + 1}"
    except RecursionError:
        return None, "broken JSON: nested too deep"
    except ValueError as error:  # a number of more digits than Python converts
        return None, f"broken JSON: {error}"


def _json(path: Path, text: str) -> Iterator[Row]:
    value, reason = _parsed(text)
    if reason is None and isinstance(value, list):
        return (Row(place, each) for place, each in enumerate(value, 1))
    if reason is None:
        return iter([Row(1, value)])
    if text.lstrip().startswith("["):
        return _salvaged(text, reason)
    if (rows := list(_lines(text))) and rows[0].reason is None:  # JSON Lines under another name
        return iter(rows)
    raise DatasetUnreadable(path, reason)


def _salvaged(text: str, reason: str) -> Iterator[Row]:
    """Return the elements of a broken list up to where it breaks, then that place with the reason."""
    decoder, position, place = json.JSONDecoder(), text.index("[") + 1, 1
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            line = text.count("\n", 0, position) + 1
            yield Row(place, None, f"{reason}; the list breaks at line {line} and nothing after it could be read")
            return
        yield Row(place, value)
        place += 1


def _parquet(path: Path) -> Iterator[Row]:
    if not path.is_file():
        raise DatasetNotFound(path)
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DatasetNeedsPyarrow(path) from None
    try:
        opened = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetUnreadable(path, (str(error).splitlines() or ["broken Parquet"])[0]) from None
    return _batches(opened, pyarrow.ArrowException)


def _batches(opened: Any, refusal: type[Exception]) -> Iterator[Row]:
    """Yield the rows a few at a time: those of Hugging Face hold whole pictures."""
    place = 0
    with opened:
        try:
            for batch in opened.iter_batches(batch_size=BATCH_ROWS):
                for value in batch.to_pylist():
                    place += 1
                    yield Row(place, value)
        except (OSError, refusal) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0]
            yield Row(place + 1, None, f"broken Parquet ({reason}); nothing from here on could be read")

"""Reads a data file of any known format into samples, and lists every row that cannot be used with its place and why.

It decodes no picture and knows no tokenizer; what the samples amount to is `finetune.data.report`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from finetune.data import registry
from finetune.data.detect import DatasetFormatUnknown, decide_format
from finetune.data.embedded import folder_for
from finetune.data.formats import FORMATS, alpaca, coco, messages, open_eqa, pairs, qwen, sharegpt
from finetune.data.formats.reading import Reading, ReadOptions
from finetune.data.pictures import Pictures
from finetune.data.rows import SUFFIXES, DatasetUnreadable, Row, is_saved, read_rows
from finetune.data.sample import Origin, Sample
from finetune.data.unusable import Unusable
from finetune.errors import FinetuneError

Reader = Callable[[Any, Reading], Sample | list[Sample]]
READERS: Mapping[str, Reader] = {
    "csv": pairs.read,
    "sharegpt": sharegpt.read,
    "alpaca": alpaca.read,
    "messages": messages.read,
    "qwen": qwen.read,
    "coco": coco.read,
    "openeqa": open_eqa.read,
    "vqa": pairs.read,
}
AUTO = "auto"
LOOKED_AT = 50  # rows on which the format is decided


class ColumnMissing(FinetuneError):
    """A table without a column for the pictures or the answers, or without a header."""

    def __init__(self, path: Path, wanted: str, known: Iterable[str]) -> None:
        self.path, self.wanted = path, wanted
        super().__init__(
            f"The first line of {str(path)!r} names no column {wanted!r}, but {', '.join(map(repr, known))}; "
            f"write the names of the columns there, or say which it is: --column {wanted}=NAME."
        )


class ColumnUnknown(FinetuneError):
    """A column was renamed that the file does not have."""

    def __init__(self, path: Path, name: str, known: Iterable[str]) -> None:
        self.path, self.name = path, name
        super().__init__(f"{str(path)!r} has no column {name!r}; it has {', '.join(map(repr, known))}.")


@dataclass(frozen=True)
class Broken:
    """A row that cannot be used."""

    origin: Origin
    reason: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.reason}"


@dataclass(frozen=True)
class Dataset:
    """The samples of one or more files, and their broken rows."""

    samples: list[Sample]
    broken: list[Broken]
    format: str = AUTO
    """Of the rows; several with a plus between."""
    decided: str = ""
    """How the format was found, in words for the user."""
    sizes: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """(width, height) in pixels of every picture of the samples, upright; empty where pictures were not checked."""


def read_dataset(
    path: Path,
    *,
    image_folder: Path | None = None,
    format: str = AUTO,
    max_samples: int | None = None,
    options: ReadOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Read a data file, or all data files of a folder.

    Args:
        path: `.csv`, `.tsv`, `.json`, `.jsonl` or `.parquet`; a folder of `save_to_disk`; or `FOLDER/NAME` where
            the folder's dataset_info.json has an entry NAME.
        image_folder: Where relative names of pictures are looked for first; then the file's folder, then the working
            folder.
        format: One of `FORMATS`, or `auto`, which looks for the file in its folder's dataset_info.json and then at
            its first rows.
        max_samples: Stop after so many usable ones.
        options: What the file leaves open.
        progress: Called with the number of rows so far.

    Raises:
        DatasetNotFound, DatasetUnreadable, DatasetKindUnknown, DatasetNeedsPyarrow: The file as a whole.
        DatasetFormatUnknown, ColumnUnknown, ColumnMissing: The format or a column named for it.
        RegistryUnreadable, DatasetNotRegistered, EntryInvalid: Of dataset_info.json.
    """
    options = options or ReadOptions()
    if format not in (AUTO, *FORMATS):
        raise DatasetFormatUnknown(path, f"there is no format {format!r}")
    path = path.expanduser()
    entry = None
    is_name = not path.exists() and path.suffix.lower() not in SUFFIXES and (path.parent / registry.INFO).is_file()
    if is_name and format == AUTO:
        entry = registry.find_entry(path.name, path.parent)
        path = entry.file
    found: list[Dataset] = []
    for file in _files(path):
        left = None if max_samples is None else max_samples - sum(len(each.samples) for each in found)
        named = entry or (registry.entry_of(file) if format == AUTO else None)
        if named is not None and named.num_samples is not None:
            left = named.num_samples if left is None else min(left, named.num_samples)
        found.append(_read_file(file, named, image_folder, format, left, options, progress))
    return found[0] if len(found) == 1 else joined(found)


def read_named(
    names: str,
    dataset_dir: Path,
    *,
    image_folder: Path | None = None,
    max_samples: int | None = None,
    options: ReadOptions | None = None,
) -> Dataset:
    """Read the data sets of a comma-separated list, entries of dataset_info.json in `dataset_dir`, or files there.

    Args:
        names: LLaMA-Factory's key `dataset`.
        dataset_dir: Its key of the same name.
        image_folder: As for `read_dataset`.
        max_samples: Of each data set, as LLaMA-Factory means it.
        options: What the files leave open.

    Raises:
        FinetuneError: As `read_dataset`.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return joined(
        [
            read_dataset(dataset_dir / name, image_folder=image_folder, max_samples=max_samples, options=options)
            for name in wanted
        ]
    )


def joined(parts: list[Dataset]) -> Dataset:
    """Return one data set of several."""
    sizes = {path: size for part in parts for path, size in part.sizes.items()}
    return Dataset(
        [sample for part in parts for sample in part.samples],
        [broken for part in parts for broken in part.broken],
        "+".join(dict.fromkeys(part.format for part in parts)),
        "; ".join(dict.fromkeys(part.decided for part in parts)),
        sizes,
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir() or is_saved(path):
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name != registry.INFO)
    if not files:
        below = sorted({file.parent for file in path.glob("*/*") if file.suffix.lower() in SUFFIXES})
        hint = f", but there are some in {', '.join(repr(str(folder)) for folder in below[:3])}" if below else ""
        raise DatasetUnreadable(path, f"the folder itself holds no {', '.join(SUFFIXES)} file{hint}")
    return files


def _read_file(
    file: Path,
    entry: registry.Entry | None,
    image_folder: Path | None,
    format: str,
    max_samples: int | None,
    options: ReadOptions,
    progress: Callable[[int], None] | None,
) -> Dataset:
    rows = read_rows(file)
    first = list(islice(rows, LOOKED_AT))
    if entry is not None:
        format, decided = entry.format, f"{entry.format}, as {registry.INFO} says of {entry.name!r}"
    elif format == AUTO:
        format, decided = decide_format(file, first)
    else:
        decided = f"{format}, as asked"
    every: Iterable[Row] = chain(first, rows)
    if format == "coco":
        every = _coco_rows(file, first)
    else:
        _check_columns(file, first, options.columns, format)
    folders = [folder for folder in (image_folder, file.parent, Path()) if folder is not None]
    pictures = Pictures(
        folders, check=options.check_pictures, frames=options.frames, decode=options.decode_pictures,
        kept_in=folder_for(file),
    )  # fmt: skip
    samples: list[Sample] = []
    broken: list[Broken] = []
    for number, row in enumerate(every, 1):
        if max_samples is not None and len(samples) >= max_samples:
            break
        origin = Origin(file, row.line)
        try:
            if row.reason is not None:
                raise Unusable(row.reason)
            value = row.value if entry is None else entry.renamed(row.value)
            read = READERS[format](value, Reading(pictures, options, origin))
            samples += read if isinstance(read, list) else [read]
        except Unusable as unusable:
            broken.append(Broken(origin, unusable.reason))
        if progress is not None:
            progress(number)
    samples = samples[:max_samples]
    return Dataset(samples, broken, format, decided + _kept(pictures), pictures.sizes)


def _kept(pictures: Pictures) -> str:
    if not pictures.kept:
        return ""
    return f"; {len(pictures.kept):,} pictures that stand in the rows are kept in {str(pictures.kept_in)!r}"


def _coco_rows(file: Path, first: list[Row]) -> Iterable[Row]:
    if len(first) != 1 or not isinstance(first[0].value, dict):
        raise DatasetFormatUnknown(file, "COCO captions are one JSON object of 'images' and 'annotations'")
    return coco.rows_of(first[0].value)


def _check_columns(file: Path, rows: list[Row], columns: Mapping[str, str], format: str) -> None:
    known = dict.fromkeys(name for row in rows if isinstance(row.value, dict) for name in row.value)
    if not known:
        return
    for theirs in columns.values():
        if theirs not in known:
            raise ColumnUnknown(file, theirs, known)
    if format == "csv":
        for names in (pairs.PICTURE, (*pairs.ANSWER, "answers")):
            if not any(name in known or name in columns for name in names):
                raise ColumnMissing(file, names[0], known)

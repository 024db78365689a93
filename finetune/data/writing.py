"""Writes samples as a data file of any format that can hold them; what a format cannot hold is listed, not bent.

What it writes, `read_dataset` reads back equal.
"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from finetune.data.dataset import Broken
from finetune.data.formats import alpaca, messages, pairs, qwen, sharegpt
from finetune.data.sample import Sample
from finetune.data.unusable import Unusable
from finetune.errors import FinetuneError
from finetune.output_files import whole_files

Writer = Callable[[Sample, Callable[[Path], str]], dict[str, Any]]
WRITERS: Mapping[str, Writer] = {
    "sharegpt": sharegpt.write,
    "messages": messages.write,
    "alpaca": alpaca.write,
    "qwen": qwen.write,
    "csv": pairs.write,
}
SUFFIXES: Mapping[str, tuple[str, ...]] = dict.fromkeys(WRITERS, (".jsonl", ".json")) | {"csv": (".csv", ".tsv")}


class OutputSuffixWrong(FinetuneError):
    """The name of the output says another kind of file than its format has."""

    def __init__(self, path: Path, format: str) -> None:
        self.path, self.format = path, format
        names = " or ".join(SUFFIXES[format])
        super().__init__(f"{str(path)!r} is to be {format}, whose files end in {names}; name it so.")


class NothingToWrite(FinetuneError):
    """Not one row could be written; `left_out` says why of each that was there."""

    def __init__(self, paths: Iterable[Path], left_out: list[Broken]) -> None:
        self.paths, self.left_out = tuple(paths), left_out
        first = f" (the first of {len(left_out)}: {left_out[0]})" if left_out else ""
        names = ", ".join(repr(str(path)) for path in self.paths)
        super().__init__(f"There is no row to write{first}; {names} was not written.")


def check_suffix(path: Path, format: str) -> None:
    """Refuse a name whose ending does not fit the format.

    Raises:
        OutputSuffixWrong: It does not.
    """
    if path.suffix.lower() not in SUFFIXES[format]:
        raise OutputSuffixWrong(path, format)


def write_samples(samples: Sequence[Sample], path: Path, format: str) -> list[Broken]:
    """Write the samples and return those that the format cannot hold; names of pictures below the file are relative.

    Raises:
        OutputSuffixWrong, OutputRefused, NothingToWrite: As they say.
    """
    return write_several({path: samples}, format)


def write_several(parts: Mapping[Path, Iterable[Sample]], format: str) -> list[Broken]:
    """Write several files, all or none of them, and return the samples that the format cannot hold.

    Raises:
        OutputSuffixWrong, OutputRefused, NothingToWrite: As they say.
    """
    left_out: list[Broken] = []
    kept = 0
    for path in parts:
        check_suffix(path, format)
    with whole_files(list(parts)) as written:
        for part, (path, samples) in zip(written, parts.items(), strict=True):
            rows = []
            for sample in samples:
                try:
                    rows.append(_checked(WRITERS[format](sample, partial(name_in, path.parent))))
                except Unusable as unusable:
                    left_out.append(Broken(sample.origin, f"cannot be written as {format}: {unusable.reason}"))
            kept += len(rows)
            codec = "utf-8-sig" if format == "csv" else "utf-8"  # the mark lets Excel read Chinese
            with part.open("w", encoding=codec, newline="") as file:
                _write(rows, file, path.suffix.lower())
        if not kept:
            raise NothingToWrite(parts, left_out)
    return left_out


def name_in(folder: Path, file: Path) -> str:
    """Return how a row in a file of `folder` names another file: relative below it, absolute elsewhere."""
    folder = Path(os.path.abspath(folder))
    if not file.is_relative_to(folder):
        return str(file)
    name = file.relative_to(folder).as_posix()
    return f"./{name}" if name.startswith("~") or ":" in name else name  # neither a home nor an address


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unusable("a name or text cannot be written as UTF-8") from None
    return row


def _write(rows: list[dict[str, Any]], file: TextIO, suffix: str) -> None:
    if suffix == ".jsonl":
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    elif suffix == ".json":
        json.dump(rows, file, ensure_ascii=False, indent=2)
        file.write("\n")
    else:
        table = csv.DictWriter(file, pairs.COLUMNS, delimiter="\t" if suffix == ".tsv" else ",")
        table.writeheader()
        table.writerows(rows)

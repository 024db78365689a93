"""Rows that are written one after the other and survive a kill: what is there is never made again. It knows no row.

A row is found by what it was made of and not by its place, so that data, model or options may change in between.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from finetune.output_files import OutputRefused


def key_of(*made_of: object) -> str:
    """Return a key of plain values; another value, another key."""
    written = json.dumps(made_of, ensure_ascii=True, sort_keys=True, default=str)
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


class Journal:
    """A JSONL file of rows under their keys, to be used in a `with`."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a row that a kill has cut off is dropped.

        Raises:
            OutputRefused: It cannot be read or written.
        """
        self.path = path
        self._rows: dict[str, Mapping[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._read()
        except OSError as error:
            raise OutputRefused(path, error.strerror or str(error)) from None

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        return self._rows[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Write rows; they are on the disk when this returns.

        Raises:
            OSError: The disk is full; rows of before stay.
        """
        made = list(rows)
        lines = "".join(json.dumps({"key": key, **row}, ensure_ascii=False) + "\n" for key, row in made)
        self._file.write(lines.encode("utf-8", "backslashreplace"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._rows.update(made)

    def _read(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            end += len(line)
            try:
                row = json.loads(line)
                self._rows[row.pop("key")] = row
            except (ValueError, KeyError, AttributeError, TypeError):
                continue  # not a row of ours; what it was is made again
        self._file.seek(0, os.SEEK_END)

"""Small files beside the catalogue, each named after the bytes that it tells of; any can be deleted at any time."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.atomic_files import write_whole


class KeptRows:
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, sha256: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write the rows of some bytes; raises OSError where that cannot be done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(sha256), json.dumps(rows).encode(), private=True, durable=False)

    def read(self, sha256: str) -> Any:
        """Return what was written; raises OSError where nothing was, ValueError where it is broken."""
        return json.loads(self._path(sha256).read_bytes())

    def forget_but(self, kept: set[str]) -> None:
        """Delete the files of all other bytes."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix == ".json" and path.stem not in kept:
                    path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.json"

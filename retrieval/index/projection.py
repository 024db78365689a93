"""What the two projections have in common: how far each has come, and the error that asks for a new one.

Knows neither Chroma nor tantivy. A projection holds nothing that the catalogue does not hold too.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import RetrievalError

_STATE = "projection.json"
# As the system, SQLite (in Chroma) and tantivy say it, who pass no error numbers on.
_FULL = ("No space left on device", "disk is full", "os error 28", "os error 112")


class ProjectionDamaged(RetrievalError):
    """The index on disk cannot be trusted; the catalogue can make a new one."""

    def __init__(self, folder: Path | str, reason: str) -> None:
        self.folder = folder
        self.reason = reason
        super().__init__(f"the index in {str(folder)!r} is damaged ({reason}); run `lorgnette kb doctor` to rebuild it")


class ProjectionFull(RetrievalError):
    """The index needs room that its disk, or that of temporary files, does not have; nothing in it is damaged."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = folder
        super().__init__(f"the disk is full, and the index in {str(folder)!r} wants a little room; free some space")


class ProjectionInUse(RetrievalError):
    """Another process writes this index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"another process writes the index in {str(folder)!r}; ask that one, or stop it and try again")


def read_generation(folder: Path, made_by: str) -> int | None:
    """Return the catalogue's generation up to which the projection in the folder has come, None where there is none.

    Raises:
        ProjectionDamaged: If the note is unreadable, or the projection was made by another version.
    """
    file = folder / _STATE
    try:
        state = json.loads(file.read_text("utf-8"))
        generation, maker = int(state["generation"]), str(state["made_by"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProjectionDamaged(folder, f"{_STATE}: {error!r}") from error
    if maker != made_by:
        raise ProjectionDamaged(folder, f"made by {maker!r}, needed is {made_by!r}")
    return generation


def write_generation(folder: Path, made_by: str, generation: int) -> None:
    """Note how far the projection has come; to be called after its own commit.

    A crash between the two leaves an older number, and what is newer is applied once more: adding and removing must
    therefore be repeatable.
    """
    new = folder / f"{_STATE}.new"
    with new.open("w", encoding="utf-8") as file:
        json.dump({"generation": generation, "made_by": made_by}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _STATE)


@contextmanager
def damage_translated(folder: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn the engine's errors that mean damage, and its panics, into ProjectionDamaged; a full disk is none."""
    try:
        yield
    except errors as error:
        if any(words in str(error) for words in _FULL):
            raise ProjectionFull(folder) from error
        raise ProjectionDamaged(folder, str(error)) from error
    except BaseException as error:
        # Over damaged bytes Rust code may panic, which Python sees as a class without importable name, no Exception.
        if type(error).__name__ == "PanicException":
            raise ProjectionDamaged(folder, str(error)) from error
        raise

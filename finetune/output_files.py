"""Where training and its commands write: refused in words before any work, else written whole."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from common import atomic_files
from common.atomic_files import is_disk_full
from finetune.errors import FinetuneError

GB = 1e9


class OutputExists(FinetuneError):
    """The file to be written is there already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{str(path)!r} exists already; give another name, or --force to replace it.")


class OutputRefused(FinetuneError):
    """The place cannot be written into."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{str(path)!r} cannot be written ({reason}); choose another place.")


class FolderNotWritten(FinetuneError):
    """The disk is full, or the place is none that can be written to."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"{str(folder)!r} could not be written: {reason}; make room, or name a folder on another disk. Nothing was "
            "left there."
        )


def check_free(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse, before any work is done, to write over a file.

    Raises:
        OutputExists: One of them is there and `force` was not given.
        OutputRefused: A folder of that name is there.
    """
    for path in paths:
        if path.is_dir():
            raise OutputRefused(path, "it is a folder")
        if path.exists() and not force:
            raise OutputExists(path)


@contextmanager
def whole_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a path beside each of `paths` to write to, as `common.atomic_files.whole_files` does.

    Raises:
        OutputRefused: A folder cannot be made or written into.
        OSError: The disk is full.
    """
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_files.check_writable(path.parent)
        except OSError as error:
            raise OutputRefused(path, error.strerror or "unknown reason") from None
    with atomic_files.whole_files(paths) as parts:
        yield parts


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, as `whole_files` does."""
    with whole_files([path]) as (part,):
        yield part


def keep_once(data: bytes, suffix: str, folder: Path) -> Path:
    """Write the bytes once under a name made of their hash, as `common.atomic_files.keep_once` does.

    Raises:
        OutputRefused: The folder cannot be written into.
        OSError: The disk is full.
    """
    try:
        return atomic_files.keep_once(data, suffix, folder)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise OutputRefused(folder, error.strerror or "unknown reason") from None


@contextmanager
def whole_folder(out: Path, *, size: int = 0) -> Iterator[Path]:
    """Yield a new folder beside `out`, as `common.atomic_files.whole_folder` does.

    Args:
        out: Not there, or an empty folder.
        size: Bytes that are going to be written, as far as they are known; what cannot fit is not begun.

    Raises:
        FolderNotWritten: The disk is full or becomes it, or nothing can be written there.
    """
    from safetensors import SafetensorError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out.parent).free
        if free < size:
            raise FolderNotWritten(out, f"it needs {size / GB:.2g} GB, and {free / GB:.2g} GB are free")
        with atomic_files.whole_folder(out) as unfinished:
            yield unfinished
    except (OSError, SafetensorError) as error:
        raise FolderNotWritten(out, _why(error)) from error


def _why(error: Exception) -> str:
    if is_disk_full(error):
        return "the disk is full"
    text = " ".join(str(error).split())
    return (getattr(error, "strerror", None) or text.rpartition("I/O error: ")[2]).rstrip(".")[:200]

"""Writes files and folders whole or not at all: under another name first, then renamed. It knows no format."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from finetune.errors import FinetuneError

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows' errno has no quota
GB = 1e9
_MASK = os.umask(0)
os.umask(_MASK)


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
    """Yield a path beside each of `paths` to write to; all are renamed when the body ends, and removed when it fails.

    Raises:
        OutputRefused: A folder cannot be made or written into.
        OSError: The disk is full.
    """
    written: list[Path] = []
    try:
        for path in paths:
            written.append(_beside(path))  # noqa: PERF401 - what is there when one fails is removed below
        yield written
        for part in written:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        for part, path in zip(written, paths, strict=True):
            part.replace(path)
    finally:
        for part in written:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`, as `whole_files` does."""
    with whole_files([path]) as (part,):
        yield part


def usual_rights(file: Path) -> None:
    """Give a file the rights that any new one has; mkstemp and safetensors make theirs the user's alone."""
    file.chmod(0o666 & ~_MASK)


def keep_once(data: bytes, suffix: str, folder: Path) -> Path:
    """Write the bytes under a name made of their SHA-256, where they are not there yet, and return its path.

    Raises:
        OutputRefused: The folder cannot be written into.
        OSError: The disk is full.
    """
    path = folder / f"{hashlib.sha256(data).hexdigest()[:20]}{suffix}"
    if not (path.is_file() and path.stat().st_size == len(data)):
        with whole_file(path) as part:
            part.write_bytes(data)
    return path


def disk_full(error: Exception) -> bool:
    """Return whether nothing could be written for want of room; libraries say so in words alone."""
    text = str(error)
    return (isinstance(error, OSError) and error.errno in FULL) or any(
        words in text for words in ("os error 28", "No space left", "Disk quota")
    )


def _beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f".part{path.suffix}")
        os.close(descriptor)
        usual_rights(Path(name))
    except OSError as error:
        raise OutputRefused(path, error.strerror or "unknown reason") from None
    return Path(name)


class FolderNotWritten(FinetuneError):
    """The disk is full, or the place is none that can be written to."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"{str(folder)!r} could not be written: {reason}; make room, or name a folder on another disk. Nothing was "
            "left there."
        )


@contextmanager
def whole_folder(out: Path, *, size: int = 0) -> Iterator[Path]:
    """Yield a new folder beside `out` that takes its place at the end, and is removed where there is none.

    Args:
        out: Not there, or an empty folder.
        size: Bytes that are going to be written, as far as they are known; what cannot fit is not begun.

    Raises:
        FolderNotWritten: The disk is full or becomes it, or nothing can be written there.
    """
    from safetensors import SafetensorError

    unfinished: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(out)
        free = shutil.disk_usage(out.parent).free
        if free < size:
            raise FolderNotWritten(out, f"it needs {size / GB:.2g} GB, and {free / GB:.2g} GB are free")
        unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", dir=out.parent))
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp makes it the user's alone
        for path in unfinished.glob("*.safetensors"):
            usual_rights(path)
        for path in unfinished.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if out.is_dir():
            out.rmdir()  # it is empty
        unfinished.rename(out)
        unfinished = None
    except (OSError, SafetensorError) as error:
        raise FolderNotWritten(out, _why(error)) from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def _remove_left(out: Path) -> None:
    """Remove what processes left that wrote to the same place and live no more."""
    import psutil

    name = re.compile(rf"\.{re.escape(out.name)}\.(\d+)\.\w+")
    for path in out.parent.iterdir():
        found = name.fullmatch(path.name)
        if found and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _why(error: Exception) -> str:
    if disk_full(error):
        return "the disk is full"
    text = " ".join(str(error).split())
    return (getattr(error, "strerror", None) or text.rpartition("I/O error: ")[2]).rstrip(".")[:200]

"""Writes files whole or not at all, several at once too: under another name first, then renamed. It knows no format."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from finetune.errors import FinetuneError

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows' errno has no quota
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

"""Writes files and folders whole or not at all: under another name beside their place, to the disk, then renamed.

It raises OSError as the system does; what a full disk means to the user is the caller's to say.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
"""Ending of what is not whole yet; a name that begins with a dot, so that no sync and no listing shows it."""
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows' errno has no quota
_MASK = os.umask(0)
os.umask(_MASK)


def write_whole(path: Path, data: bytes | str, *, private: bool = False, durable: bool = True) -> None:
    """Replace a file in one step; a kill leaves the old one or the new one.

    Args:
        path: Its folder is there.
        data: Text is written as UTF-8.
        private: Whether only the user may read it.
        durable: Whether it must outlive a power cut, which costs a wait for the disk.
    """
    with whole_files([path], private=private, durable=durable) as (part,):
        part.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


@contextmanager
def whole_files(paths: Sequence[Path], *, private: bool = False, durable: bool = True) -> Iterator[list[Path]]:
    """Yield a path beside each of `paths` to write to; all are renamed when the body ends, and removed if it fails."""
    parts: list[Path] = []
    try:
        for path in paths:
            parts.append(_beside(path, private))  # noqa: PERF401 - what is there when one fails is removed below
        yield parts
        for part in parts if durable else ():
            sync_to_disk(part)
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path, *, private: bool = False, durable: bool = True) -> Iterator[Path]:
    """Yield a path beside `path`, as `whole_files` does."""
    with whole_files([path], private=private, durable=durable) as (part,):
        yield part


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out` that takes its place at the end, and is removed if the body fails.

    What killed processes left that wrote to the same place is removed first. `out` is not there, or an empty folder.
    """
    unfinished: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_left_folders(out.parent, out.name)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.{os.getpid()}.", dir=out.parent))
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp makes it the user's alone
        for path in unfinished.glob("*.safetensors"):
            usual_rights(path)
        for path in unfinished.iterdir():
            if path.is_file():  # what is deeper is not waited for
                sync_to_disk(path)
        if out.is_dir():
            out.rmdir()  # it is empty
        unfinished.rename(out)
        unfinished = None
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def keep_once(data: bytes, suffix: str, folder: Path) -> Path:
    """Write the bytes under a name made of their SHA-256 if they are not there yet, and return its path."""
    path = folder / f"{hashlib.sha256(data).hexdigest()[:20]}{suffix}"
    if not (path.is_file() and path.stat().st_size == len(data)):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    return path


def check_writable(folder: Path) -> None:
    """Raise OSError if no file can be made in the folder."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=PART)
    os.close(descriptor)
    os.unlink(name)


def usual_rights(file: Path) -> None:
    """Give a file the rights that any new one has; mkstemp and safetensors make theirs the user's alone."""
    file.chmod(0o666 & ~_MASK)


def is_part(path: Path) -> bool:
    """Return whether a name is that of a file which is being written, or was when its process was killed."""
    return PART in path.suffixes


def sync_to_disk(file: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def is_disk_full(error: BaseException) -> bool:
    """Return whether nothing could be written for want of room; libraries say so in words alone."""
    text = str(error)
    return (isinstance(error, OSError) and error.errno in _FULL) or any(
        words in text for words in ("os error 28", "No space left", "Disk quota")
    )


def _beside(path: Path, private: bool) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f"{PART}{path.suffix}")
    os.close(descriptor)
    if not private:
        usual_rights(Path(name))
    return Path(name)


def remove_left_folders(parent: Path, name: str | None = None) -> None:
    """Remove what processes left that wrote a folder whole in `parent` and live no more.

    Args:
        parent: Where the folders were to stand.
        name: Of the one folder that is meant; None means every one.
    """
    import psutil

    pattern = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.(\d+)\.\w+")
    for path in parent.iterdir():
        found = pattern.fullmatch(path.name)
        if found and path.is_dir() and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)

"""Writes a folder whole or not at all: under another name beside its place first, then renamed.

What a killed process left there is removed by the next one that writes to the same place. It knows nothing of what is
in it.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune.data.files import disk_full, usual_rights
from finetune.errors import FinetuneError

GB = 1e9


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

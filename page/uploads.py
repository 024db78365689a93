"""What is dropped, pasted or chosen in the page, kept as files that the agent may read. It opens no picture.

A file gets a folder of its own and a harmless form of its name; sessions refer to it there, so that it is kept as long
as one of them does.
"""

import re
import secrets
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from shutil import rmtree

from common.safe_text import printable

LEFT_S = 86_400.0
"""A file that no session refers to is removed after a day: it may stand in a page that is still open."""
MOST_NAME_BYTES = 120
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*#%&\']+')


class Uploads:
    """One folder of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place_for(self, name: str) -> Path:
        """Return where a file of that name is to be written; its folder is there, and is nobody else's."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        return folder / safe_name(name)

    def remove(self, file: Path) -> None:
        """Remove one of its files."""
        if file.parent.parent == self.folder:
            rmtree(file.parent, ignore_errors=True)

    def remove_left(self, used: Iterable[str]) -> None:
        """Remove what was given long ago and what none of these paths is in."""
        kept = {Path(path).parent.name for path in used if Path(path).is_relative_to(self.folder)}
        before = time.time() - LEFT_S
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if folder.name not in kept and folder.stat().st_mtime < before:
                rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a name that is one on every system and can hide nothing; the end, which says the type, is kept."""
    name = unicodedata.normalize("NFC", printable(name.encode("utf-8", "replace").decode()))
    name = _UNSAFE.sub("_", name).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = name, ""
    stem = stem.encode()[:MOST_NAME_BYTES].decode(errors="ignore").strip(" .") or "file"
    return f"{stem}.{suffix}" if suffix else stem

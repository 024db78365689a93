"""What lies in a folder: its files with size and times, and what is not followed. It reads no content."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from retrieval.reading.unreadable import CannotOpen, NotAFile

LEADS_OUT = "a link that leads out of the folder; put the file itself there if it is to be found"
LEADS_NOWHERE = "a link that leads nowhere; mend or remove it"


class Entry(NamedTuple):
    """A file, or something that is none; a tuple, since a walk makes one of every file."""

    source: str
    """Path in the folder with forward slashes."""
    size: int
    mtime_ns: int
    reason: str = ""
    """Why it is not read; empty for a file."""
    ctime_ns: int = 0
    """When the file system last noted a change of it; 0 if that is not known."""


@dataclass(frozen=True)
class Walk:
    """A folder as it was seen."""

    entries: dict[str, Entry]
    """By source, sorted."""
    unseen: tuple[str, ...]
    """Folders that could not be opened: what they hold is unknown, not gone."""

    def saw(self, source: str) -> bool:
        """Return whether a file of that path would be among the entries."""
        return not any(folder == "" or source.startswith(f"{folder}/") for folder in self.unseen)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is not meant to be seen: a leading dot, or an office program's lock file."""
    return name.startswith((".", "~$"))


def walk(root: Path, leave_out: Collection[str] = ()) -> Walk:
    """Look through a folder and the folders in it.

    Links to folders are not followed: what they lead to is seen at its own place, or lies outside. Links to files count
    as files where they stay inside.

    Args:
        root: A real path, free of links.
        leave_out: Real paths of files and folders that are not looked at.
    """
    entries: dict[str, Entry] = {}
    unseen: list[str] = []
    folders = [("", os.fspath(root))]
    while folders:
        source, path = folders.pop()
        try:
            with os.scandir(path) as found:
                names = [item for item in found if not is_hidden(item.name) and item.path not in leave_out]
        except FileNotFoundError:
            continue
        except OSError as error:
            unseen.append(source)
            if source:
                entries[source] = Entry(source, 0, 0, CannotOpen(error.strerror or str(error)).reason)
            continue
        for item in names:
            inner = f"{source}/{item.name}" if source else item.name
            if item.is_dir(follow_symlinks=False):
                folders.append((inner, item.path))
            elif entry := _entry(item, inner, root, leave_out):
                entries[inner] = entry
    return Walk(dict(sorted(entries.items())), tuple(unseen))


def _entry(item: "os.DirEntry[str]", source: str, root: Path, leave_out: Collection[str]) -> Entry | None:
    try:
        seen = item.stat(follow_symlinks=False)
        if stat.S_ISREG(seen.st_mode):
            return _seen(source, seen)
        if not stat.S_ISLNK(seen.st_mode):
            return _seen(source, seen, NotAFile().reason)
        target = os.path.realpath(item.path)
        if not Path(target).is_relative_to(root):
            return _seen(source, seen, LEADS_OUT)
        try:
            there = os.stat(item.path)
        except OSError:
            return _seen(source, seen, LEADS_NOWHERE)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(there.st_mode) or target in leave_out:
        return None
    reason = "" if stat.S_ISREG(there.st_mode) else NotAFile().reason
    return _seen(source, there, reason)


def _seen(source: str, found: os.stat_result, reason: str = "") -> Entry:
    return Entry(source, found.st_size, found.st_mtime_ns, reason, found.st_ctime_ns)

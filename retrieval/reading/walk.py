"""What lies in a folder: its files with size and times, and what is not followed. It reads no content."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from retrieval.library import linked_folders
from retrieval.reading.ignore import Ignored, is_marked, is_programs_own
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
    as files where they stay inside. What ignore files name is left out, and what programs keep for themselves. The
    user's library (`retrieval.library`) is links to folders, and those are followed.

    Args:
        root: A real path, free of links.
        leave_out: Real paths of files and folders that are not looked at.
    """
    seen = _Folders(root, leave_out)
    while seen.waiting:
        seen.look(*seen.waiting.pop())
    return Walk(dict(sorted(seen.entries.items())), tuple(seen.unseen))


class _Folders:
    """A walk under way."""

    def __init__(self, root: Path, leave_out: Collection[str]) -> None:
        self._linked = linked_folders(root)
        self._inside = (root, *self._linked.values())
        self._leave_out = leave_out
        self.entries: dict[str, Entry] = {}
        self.unseen: list[str] = []
        self.waiting = [("", os.fspath(root), Ignored())]

    def look(self, source: str, path: str, ignored: Ignored) -> None:
        """Note the files of a folder, and the folders to be looked at next."""
        try:
            with os.scandir(path) as found:
                items = list(found)
        except FileNotFoundError:
            return
        except OSError as error:
            self.unseen.append(source)
            if source:
                self.entries[source] = Entry(source, 0, 0, CannotOpen(error.strerror or str(error)).reason)
            return
        names = [item.name for item in items]
        if source and is_marked(names):
            return
        ignored = ignored.within(source, path, names)
        for item in items:
            if not is_hidden(item.name) and item.path not in self._leave_out:
                self._note(item, f"{source}/{item.name}" if source else item.name, ignored)

    def _note(self, item: "os.DirEntry[str]", source: str, ignored: Ignored) -> None:
        is_folder = item.is_dir(follow_symlinks=False)
        if ignored.rules and ignored.covers(source, folder=is_folder):
            return
        if is_folder:
            if not is_programs_own(item.name):
                self.waiting.append((source, item.path, ignored))
        elif source in self._linked:
            self.waiting.append((source, os.fspath(self._linked[source]), Ignored()))
        elif entry := _entry(item, source, self._inside, self._leave_out):
            self.entries[source] = entry


def _entry(item: "os.DirEntry[str]", source: str, inside: Collection[Path], leave_out: Collection[str]) -> Entry | None:
    try:
        seen = item.stat(follow_symlinks=False)
        if stat.S_ISREG(seen.st_mode):
            return _seen(source, seen)
        if not stat.S_ISLNK(seen.st_mode):
            return _seen(source, seen, NotAFile().reason)
        target = os.path.realpath(item.path)
        if not any(Path(target).is_relative_to(folder) for folder in inside):
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

"""What in a folder is not the user's documents: what programs keep there, and what ignore files name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_FILES = (".gitignore", ".lorgnetteignore")
_FOLDERS = frozenset(
    ("node_modules", "__pycache__", "site-packages", "$recycle.bin", "system volume information", "__macosx")
)
# What lies in a folder says that a program made it.
_SIGNS = frozenset(("pyvenv.cfg", "CACHEDIR.TAG"))
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Ignored:
    """The rules of one folder, and of those above it."""

    rules: tuple[tuple[str, "GitIgnoreSpec"], ...] = ()
    """By the folder that they stand in, with a slash at its end; empty for the root."""

    def within(self, source: str, path: str, names: Sequence[str]) -> "Ignored":
        """Add the rules that a folder's own files hold."""
        found = [rules for name in _FILES if name in names and (rules := _read(os.path.join(path, name))) is not None]
        prefix = f"{source}/" if source else ""
        return Ignored((*self.rules, *((prefix, rules) for rules in found))) if found else self

    def covers(self, source: str, *, folder: bool) -> bool:
        """Return whether a file or folder is left out; a rule deeper down counts more."""
        for prefix, rules in reversed(self.rules):
            found = rules.check_file(source[len(prefix) :] + ("/" if folder else "")).include
            if found is not None:
                return found
        return False


def is_programs_own(name: str) -> bool:
    """Return whether a folder's name says that a program keeps it for itself."""
    return name.lower() in _FOLDERS


def is_marked(names: Sequence[str]) -> bool:
    """Return whether what lies in a folder says that it is a cache or a virtual environment."""
    return not _SIGNS.isdisjoint(names)


def _read(path: str) -> "GitIgnoreSpec | None":
    from pathspec import GitIgnoreSpec

    try:
        if os.path.getsize(path) > _MAX_BYTES:
            return None
        return GitIgnoreSpec.from_lines(Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines())
    except (OSError, ValueError):
        return None

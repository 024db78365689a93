"""The folders that a user has named once and for all; several of them are one knowledge base, whatever the disk.

The library is a folder of links in the data folder, so that all who read a knowledge base read it as any other. Only
there are links to folders followed: a folder that somebody else packed cannot lead anywhere.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from common.errors import CodedError
from common.home import data_home

_NAME = "library"


class LibraryError(CodedError):
    """A folder cannot be remembered."""

    SENTENCES: ClassVar = {
        "no-folder": "There is no folder {folder!r}; name one that exists",
        "no-link": "The folder {folder!r} cannot be remembered ({cause}); use --kb DIR instead",
    }


def remember(folder: Path, home: Path | None = None) -> Path:
    """Add a folder; one that is remembered already, or lies in one that is, stays as it is.

    Args:
        folder: Of the user's documents.
        home: The data folder.

    Returns:
        The folder that holds all of them: itself while it is the only one, else the library.

    Raises:
        LibraryError: It is no folder, or the link cannot be made.
    """
    library = (home or data_home()) / _NAME
    real = Path(os.path.realpath(folder))
    if not real.is_dir():
        raise LibraryError("no-folder", folder=str(folder))
    if not is_within(real, linked(library)):
        try:
            library.mkdir(parents=True, exist_ok=True)
            (library / _free_name(library, real.name or "folder")).symlink_to(real, target_is_directory=True)
        except OSError as error:
            raise LibraryError("no-link", folder=str(folder), cause=error.strerror or str(error)) from error
    chosen = remembered(home)
    assert chosen is not None, "there is one now"
    return chosen


def is_within(folder: Path, known: Mapping[str, Path]) -> bool:
    """Say whether a folder is one of `linked`, or lies in one."""
    real = Path(os.path.realpath(folder))
    return any(real.is_relative_to(one) for one in known.values())


def forget(folder: Path, home: Path | None = None) -> bool:
    """Take a folder out of the library; nothing of the folder itself is touched. Returns whether it was in it.

    Raises:
        LibraryError: The link cannot be removed.
    """
    library = (home or data_home()) / _NAME
    real = Path(os.path.realpath(folder))
    names = [name for name, known in linked(library).items() if known == real]
    for name in names:
        try:
            (library / name).unlink()
        except OSError as error:
            raise LibraryError("no-link", folder=str(folder), cause=error.strerror or str(error)) from error
    return bool(names)


def library_folder(home: Path | None = None) -> Path:
    """Return the folder of the links, whether or not it is there."""
    return (home or data_home()) / _NAME


def remembered(home: Path | None = None) -> Path | None:
    """Return the folder of all that was remembered: the only one itself, the library of several, or None."""
    library = (home or data_home()) / _NAME
    folders = linked(library)
    if not folders:
        return None
    return next(iter(folders.values())) if len(folders) == 1 else library


def linked_folders(root: Path) -> dict[str, Path]:
    """Return the folders that a knowledge base's root leads to, by their names in it: none but for the library."""
    return linked(root) if os.path.realpath(root) == os.path.realpath(data_home() / _NAME) else {}


def linked(library: Path) -> dict[str, Path]:
    """Return a library's folders that are there, by name."""
    try:
        links = sorted(item for item in library.iterdir() if item.is_symlink() and item.is_dir())
    except OSError:
        return {}
    return {link.name: Path(os.path.realpath(link)) for link in links}


def _free_name(library: Path, name: str) -> str:
    name = name.lstrip(".") or "folder"
    taken = {item.name for item in library.iterdir()}
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, 10_000))) if n not in taken)

"""Reads and splits one file of the folder, on whatever thread, process or machine. It knows no catalogue.

What it gives back holds no bytes of the file, so that it travels well.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from retrieval.reading.picture_passages import with_name
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import Content, read_content
from retrieval.reading.unreadable import CannotOpen, ChangedWhileRead, NotText, Unreadable
from retrieval.records import Chunk, Document

UNFORESEEN = "a mistake in reading it ({error}); save it anew with its program, and report the file"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A file that is new or may have changed."""

    source: str
    """Path in the folder with forward slashes."""
    path: Path
    sha256: str | None
    """Of the bytes that need not be read again, empty where any must be; None for a new file."""


@dataclass(frozen=True)
class Prepared:
    """What became of a file."""

    state: Literal["read", "same", "skipped", "gone"]
    """same: its bytes need not be read again."""
    content: Content | None = None
    """As it was, without its bytes; None if these could not be had."""
    document: Document | None = None
    """Of a file that was read, without its text: the chunks hold it."""
    chunks: tuple[Chunk, ...] = ()
    reason: str = ""
    """Why it was skipped."""
    passing: bool = False
    """Whether the reason may pass by itself."""


def kind_of(source: str, sha256: str) -> tuple[str, str]:
    """Return what tells a document: under another type the same bytes are another one."""
    return sha256, PurePosixPath(source).suffix.lower()


def prepare(recipe: Recipe, task: Task, gone: Collection[tuple[str, str]] = ()) -> Prepared:
    """Read and split a file; what cannot be read is a result and no error.

    Args:
        recipe: How.
        task: Which file.
        gone: `kind_of` files that have gone: a new file of that kind was renamed, and need not be read.
    """
    try:
        recipe.check_name(task.path)
        content = read_content(task.path, recipe.max_bytes)
    except FileNotFoundError:
        return Prepared("gone")
    except Unreadable as error:
        return Prepared("skipped", reason=error.reason, passing=isinstance(error, CannotOpen | ChangedWhileRead))
    empty = replace(content, data=b"")
    if content.sha256 == task.sha256 or (task.sha256 is None and kind_of(task.source, content.sha256) in gone):
        return Prepared("same", empty)
    try:
        document = recipe.read(task.path, content.data)
        document, chunks = with_name(document, recipe.split(document), task.source)
        _check_text(document)
    except Unreadable as error:
        return Prepared("skipped", empty, reason=error.reason)
    except Exception as error:  # a reader's own mistake costs this file alone; all others are still read
        _log.exception("%s could not be read", task.source)
        return Prepared("skipped", empty, reason=UNFORESEEN.format(error=f"{type(error).__name__}: {error}"))
    return Prepared("read", empty, replace(document, text=""), chunks)


def _check_text(document: Document) -> None:
    # Half a surrogate pair is no character: no file of ours could hold it.
    try:
        document.text.encode()
    except UnicodeEncodeError as error:
        raise NotText(error.reason) from error

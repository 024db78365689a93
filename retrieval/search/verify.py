"""Holds a citation against the file as it is now: exact, moved, changed or gone. It changes nothing."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal, Protocol

from retrieval.catalogue.catalogue import Catalogue
from retrieval.library import linked_folders
from retrieval.reading.kept_figures import KeptFigures
from retrieval.reading.picture_passages import described_text, figures_text
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import Unreadable
from retrieval.reading.walk import LEADS_OUT, walk
from retrieval.records import Document, Region

MOSTLY_THERE = 0.5
PIECE_CHARS = 16
PIECE_PLACES = 20

# A word, or one character where a script writes words without spaces.
_TOKEN = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\S")


Status = Literal["exact", "moved", "changed", "gone"]
"""How a passage, or its place on a page, stands up against the file."""


class Standing(Protocol):
    """A passage and where it stands in its document's text."""

    @property
    def source(self) -> str:
        """Path in the folder."""

    @property
    def start(self) -> int:
        """Of the passage in the decoded text."""

    @property
    def end(self) -> int:
        """Exclusive."""

    @property
    def text(self) -> str:
        """The passage."""


class Cited(Standing, Protocol):
    """What a citation says; hits and occurrences are such."""

    @property
    def sha256(self) -> str:
        """Of the file when it was cited."""


class Indexed(Protocol):
    """What was noted of a file when it was indexed."""

    @property
    def source(self) -> str:
        """Path in the folder."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def mtime_ns(self) -> int:
        """Modification time."""


@dataclass(frozen=True)
class Verdict:
    """How a citation stands up."""

    status: Status
    source: str
    """Where the passage is now; as cited where it is gone."""
    start: int
    end: int
    page: int | None
    text: str
    """What stands there now; empty where it is gone."""
    similarity: float
    """How much of the cited text is there, 0 to 1."""
    reason: str
    """In words for the user."""
    regions: tuple[Region, ...] = ()
    """Where it can be seen now."""
    regions_status: Status | None = None
    """How its regions stand up; None where there is no page to look at."""


@dataclass(frozen=True)
class _Similar:
    share: float
    start: int
    end: int


def verify(catalogue: Catalogue, folder: Path, cited: Cited, recipe: Recipe) -> Verdict:
    """Read the cited file again and look for the passage: at its place, in the file, in the file's new place.

    The passage counts as changed where at least half of its words still stand together.
    """
    root = Path(os.path.realpath(folder))
    found = _read(catalogue, root, cited.source, recipe)
    reason = found if isinstance(found, str) else "the file no longer holds it"
    if isinstance(found, Document):
        if found.text[cited.start : cited.end] == cited.text:
            return _verdict("exact", cited.source, cited.start, cited.end, found, 1.0, "it stands where it was cited")
        if (at := _nearest(found.text, cited.text, cited.start)) is not None:
            end = at + len(cited.text)
            return _verdict("moved", cited.source, at, end, found, 1.0, "it stands elsewhere in the file")
        near = _most_similar(found.text, cited.text)
        if near.share >= MOSTLY_THERE:
            words = "only its white space is another" if near.share == 1 else "its words are others in part"
            return _verdict("changed", cited.source, near.start, near.end, found, near.share, words)
    for source in _other_places(catalogue, root, cited):
        other = _read(catalogue, root, source, recipe)
        if isinstance(other, Document) and (at := _nearest(other.text, cited.text, cited.start)) is not None:
            words = f"the file is now {source!r}"
            return _verdict("moved", source, at, at + len(cited.text), other, 1.0, words)
    return Verdict("gone", cited.source, cited.start, cited.end, None, "", 0.0, reason)


def is_stale(folder: Path, indexed: Indexed) -> bool:
    """Tell whether a file has changed or gone since it was indexed; another time alone does not count."""
    path = inside(Path(os.path.realpath(folder)), indexed.source)
    if path is None:
        return True
    try:
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) == (indexed.size, indexed.mtime_ns):
            return False
        return now.st_size != indexed.size or read_content(path, indexed.size).sha256 != indexed.sha256
    except (OSError, Unreadable):
        return True


def inside(root: Path, source: str) -> Path | None:
    """Return the file of that name, none where it does not lie in the folder, whose path is real."""
    # A citation comes from outside: `..`, an absolute path or a link must not open other files.
    if "\0" in source:
        return None
    path = Path(os.path.realpath(root / source))
    return path if any(path.is_relative_to(folder) for folder in (root, *linked_folders(root).values())) else None


def _read(catalogue: Catalogue, root: Path, source: str, recipe: Recipe) -> Document | str:
    """Read a file of the folder, or say why not."""
    path = inside(root, source)
    if path is None:
        return LEADS_OUT
    try:
        # By its own name, as sync does: the type comes from the name, not from what a link leads to.
        content = read_content(path, recipe.max_bytes)
        document = recipe.read(root / source, content.data)
    except FileNotFoundError:
        return "the file has gone"
    except Unreadable as error:
        return f"the file can no longer be read: {error.reason}"
    if document.media_type != "image":
        figures = KeptFigures(catalogue.path.parent).of(content.sha256)
        return replace(document, text=figures_text(document.text, figures)) if figures else document
    return replace(document, text=described_text(document, source, catalogue.caption(content.sha256)))


def _other_places(catalogue: Catalogue, root: Path, cited: Cited) -> Iterator[str]:
    """Give other files that hold the cited bytes: known ones, then those that no sync has seen yet."""
    known = [row.source for row in catalogue.with_sha256(cited.sha256) if row.source != cited.source]
    yield from known
    row = catalogue.file(cited.source)
    if row is None or row.sha256 != cited.sha256:
        return
    for entry in walk(root).entries.values():
        if entry.reason or entry.size != row.size or entry.source in (cited.source, *known):
            continue
        try:
            if read_content(root / entry.source, row.size).sha256 == cited.sha256:
                yield entry.source
        except (OSError, Unreadable):
            continue


def _verdict(
    status: Literal["exact", "moved", "changed"],
    source: str,
    start: int,
    end: int,
    document: Document,
    similarity: float,
    reason: str,
) -> Verdict:
    page = next((page.number for page in document.pages if page.start <= start < page.end), None)
    return Verdict(status, source, start, end, page, document.text[start:end], similarity, reason)


def _nearest(text: str, passage: str, start: int) -> int | None:
    """Find the passage's occurrence that is nearest to a place."""
    after = text.find(passage, start)
    before = text.rfind(passage, 0, start + len(passage))
    places = [at for at in (before, after) if at >= 0]
    return min(places, key=lambda at: abs(at - start), default=None)


def _most_similar(text: str, passage: str) -> _Similar:
    """Find where most of the passage stands together.

    Pieces of it that stand somewhere vote for the place where its beginning would be; around the place with most votes
    words are aligned. A word that agrees alone counts for nothing: such ones stand everywhere.
    """
    nothing = _Similar(0.0, 0, 0)
    length = max(4, min(PIECE_CHARS, len(passage) // 4))
    begins = [
        at - offset
        for offset in range(0, len(passage) - length + 1, max(1, length // 2))
        for at in _places(text, passage[offset : offset + length])
    ]
    if not begins:
        return nothing
    width = max(1, len(passage) // 2)
    votes = Counter(begin // width for begin in begins)
    best = max(votes, key=lambda bucket: (votes[bucket] + votes[bucket + 1], -bucket))
    first = max(0, (best - 1) * width)
    window = text[first : (best + 2) * width + 2 * len(passage)]
    ours = [match.group() for match in _TOKEN.finditer(passage)]
    theirs = list(_TOKEN.finditer(window))
    matcher = SequenceMatcher(None, ours, [match.group() for match in theirs], autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size > 1]
    if not blocks:
        return nothing
    same = sum(len(token) for block in blocks for token in ours[block.a : block.a + block.size])
    end = theirs[blocks[-1].b + blocks[-1].size - 1].end()
    return _Similar(same / sum(map(len, ours)), first + theirs[blocks[0].b].start(), first + end)


def _places(text: str, piece: str) -> Iterator[int]:
    at = text.find(piece)
    for _ in range(PIECE_PLACES):
        if at < 0:
            return
        yield at
        at = text.find(piece, at + 1)

"""What the catalogue is given and gives back. It does nothing by itself."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.records import MediaType

Numbers = NDArray[np.int64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class FileRow:
    """A file of the folder as it was when it was last read."""

    source: str
    """Path in the knowledge base with forward slashes; bytes of other encodings are surrogate-escaped."""
    sha256: str
    """Empty if the bytes could not be had."""
    size: int
    """Bytes."""
    mtime_ns: int
    state: Literal["indexed", "skipped"]
    reason: str = ""
    """Why it was skipped, in words for the user."""
    media_type: MediaType | None = None
    codec: str | None = None
    confidence: float = 1.0
    title: str = ""
    notes: tuple[str, ...] = ()
    recipe: str = ""
    """Fingerprint of how it was read and split; another one means it has to be read again."""
    recheck: bool = False
    """Whether size and times cannot vouch for it, so that the next sync looks at its bytes."""
    indexed_at: float = 0.0
    """Seconds since 1970."""
    generation: int = 0
    """Of the transaction that wrote it; the catalogue sets it."""
    ctime_ns: int = 0
    """When the file system last noted a change of the file, its name and rights too; 0 if that is not known."""


class Known(NamedTuple):
    """What tells whether a file has to be read again; a tuple, since a sync makes one of every file."""

    sha256: str
    size: int
    mtime_ns: int
    state: Literal["indexed", "skipped"]
    reason: str
    recipe: str
    recheck: bool
    ctime_ns: int


@dataclass(frozen=True)
class Occurrence:
    """One place where a chunk stands."""

    source: str
    sha256: str
    """Of the file when it was indexed."""
    size: int
    mtime_ns: int
    indexed_at: float
    media_type: MediaType | None
    title: str
    ordinal: int
    """Which chunk of its file it is, from 0."""
    start: int
    end: int
    page: int | None
    text: str
    """Exactly `document.text[start:end]`; the chunk's own text may differ in white space."""


@dataclass(frozen=True)
class StoredChunk:
    """A chunk and all places where it stands."""

    number: int
    """Never used again for another chunk."""
    id: str
    text: str
    headings: tuple[str, ...]
    occurrences: tuple[Occurrence, ...]
    """By path and position; never empty in an undamaged catalogue."""


@dataclass(frozen=True)
class Changes:
    """What a projection has to do to catch up."""

    added: Numbers
    """New, or with a new vector: put them in, whether or not they are there. (N,)"""
    removed: Numbers
    """Take them out, if they are there. (M,)"""
    generation: int
    """Where the projection then stands."""
    rebuild: bool
    """Whether the projection is too far behind and must be emptied first; `added` then holds everything."""


@dataclass(frozen=True)
class Counts:
    """How much there is."""

    files: int
    """Indexed ones."""
    skipped: int
    chunks: int
    spans: int
    vectors: dict[str, int]
    """By embedder."""
    generation: int


NO_NUMBERS: Numbers = np.empty(0, np.int64)

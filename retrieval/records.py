"""What travels between reading, splitting, cataloguing and searching. It does nothing by itself.

Positions are characters (Python code points) of `Document.text`, the decoded original, from 0, end exclusive.
"""

from dataclasses import dataclass, field
from typing import Literal

MediaType = Literal[
    "text", "markdown", "csv", "log", "html", "pdf", "docx", "image", "spreadsheet", "slides", "opendocument", "book",
    "mail", "rtf", "notebook", "code", "json",
]  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Where a page lies in the text."""

    number: int
    """From 1."""
    start: int
    end: int
    ocr: bool = False
    """Whether its words were read from its picture."""


@dataclass(frozen=True)
class Region:
    """A rectangle on a page, in thousandths of its width and height as it is shown, from its upper left corner."""

    page: int
    """From 1; a picture is a page."""
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Line:
    """A line that was read in a picture, and where."""

    text: str
    region: Region
    turned: int = 0
    """Degrees by which the picture was turned before it was read: 0, 90, 180 or 270."""


@dataclass(frozen=True)
class Document:
    """A file as text."""

    text: str
    """The decoded original; for PDF the pages' texts, for a picture what can be read in it, its file's name and its
    caption (`retrieval.reading.picture_passages`)."""
    media_type: MediaType
    pages: tuple[Page, ...] = ()
    """None where the format has no pages."""
    codec: str | None = None
    """How the bytes were decoded, where they were."""
    confidence: float = 1.0
    """0 to 1: how sure the codec is; below 0.5 a reader should be told."""
    title: str = ""
    """From the file's own metadata or first heading."""
    notes: tuple[str, ...] = ()
    """What could not be read, in words for the user."""
    lines: tuple[Line, ...] = ()
    """What OCR read, in the order of the text."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document that is indexed and found as a whole."""

    id: str
    """Content id: the first 32 hex digits of the SHA-256 of heading path and normalised text, the same in any file."""
    text: str
    """Exactly `document.text[start:end]`."""
    start: int
    end: int
    page: int | None = None
    """Page on which it starts, where there are pages."""
    headings: tuple[str, ...] = ()
    """Heading path, outermost first."""


@dataclass(frozen=True)
class Filter:
    """Which passages are wanted; None means any."""

    source: str | None = None
    """A file's path in the knowledge base or a folder's, with `*` and `?` as in a shell."""
    media_type: MediaType | None = None
    after: float | None = None
    """Modification time of the file at the earliest, in seconds since 1970."""
    before: float | None = None


@dataclass(frozen=True)
class Hit:
    """A passage that was found, with everything that says why."""

    id: str
    """Chunk id."""
    source: str
    """Path in the knowledge base, with forward slashes."""
    page: int | None
    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    sha256: str
    """Of the file when it was indexed."""
    indexed_at: float
    """Seconds since 1970."""
    stale: bool
    """Whether the file has changed or gone since."""
    score: float
    """What the order rests on: of the reranker where it ran, else of the fusion."""
    dense_rank: int | None = None
    """From 1; none where that side did not find it."""
    dense_score: float | None = None
    """Cosine."""
    lexical_rank: int | None = None
    lexical_score: float | None = None
    """BM25."""
    rerank_score: float | None = None
    relevance: float = 0.0
    """How likely it helps, 0 to 1, whatever the order rests on."""
    match: Literal["relevant", "weak"] = "relevant"
    """weak: it may not answer the question, and is shown because it may."""
    also_in: tuple[str, ...] = ()
    """Other files that hold the same passage."""
    address: str | None = None
    """Where the file was fetched from, where it was."""


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search."""

    hits: tuple[Hit, ...]
    mode: str
    """Such as "dense+lexical+rerank"."""
    degraded: tuple[str, ...] = ()
    """What was missing or skipped, in words for the user."""
    threshold: float = 0.0
    """Relevance under which a passage is left out; `hits` holds none below."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage."""

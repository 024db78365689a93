"""How a file's bytes become chunks, and a name for that way. It runs none of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrieval.reading import chunks
from retrieval.reading.documents import MEDIA_TYPES, ReadLimits, read_document, saved_as, type_of
from retrieval.reading.unreadable import UnknownType
from retrieval.records import Chunk, Document
from retrieval.settings import RetrievalSettings

# Raise it when the same bytes are read as another text: every file is then read again.
READER_VERSION = 7


@dataclass(frozen=True)
class Recipe:
    """Reader and splitter; two with the same fingerprint make the same chunks of the same bytes."""

    read: Callable[[Path, bytes], Document]
    """Given the file's path, for its type, and its bytes; raises `Unreadable`."""
    split: Callable[[Document], Sequence[Chunk]]
    fingerprint: str
    max_bytes: int
    """Larger files are skipped unread."""
    suffixes: tuple[str, ...] = ()
    """Files of other types are skipped unread; empty where only the reader can tell."""

    def check_name(self, path: Path) -> None:
        """Refuse a file by its name.

        Raises:
            UnknownType: Its type is not read.
        """
        if self.suffixes and path.suffix.lower() not in self.suffixes and type_of(path) is None:
            suffix = path.suffix.lower()
            raise UnknownType(suffix or path.name, saved_as(suffix))


def open_recipe(settings: RetrievalSettings) -> Recipe:
    """Give the way that the settings ask for."""
    tokens, overlap = settings.chunk_tokens, settings.chunk_overlap
    limits = ReadLimits(bytes=settings.max_file_mib * 1024 * 1024)
    return Recipe(
        read=partial(read_document, limits=limits),
        split=partial(chunks.split, chunk_tokens=tokens, chunk_overlap=overlap),
        fingerprint=f"reader-{READER_VERSION}/{chunks.fingerprint(tokens, overlap)}",
        max_bytes=limits.bytes,
        suffixes=tuple(MEDIA_TYPES),
    )

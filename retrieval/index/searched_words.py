"""Which words a passage is found by: its own, its headings', and what its files are called. It opens no index."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from retrieval.catalogue.rows import StoredChunk
from retrieval.reading.picture_passages import path_words
from retrieval.sync.missing_vectors import text_to_embed
from retrieval.tokens import document_tokens


def passage_tokens(chunk: StoredChunk) -> list[str]:
    """Return the tokens of what a passage says, under its headings."""
    return document_tokens(text_to_embed(chunk.headings, chunk.text))


def name_tokens(chunk: StoredChunk) -> list[str]:
    """Return the tokens of the paths and titles of the files in which a passage stands, each once."""
    return list(dict.fromkeys(token for name in _names(chunk) for token in name))


def _names(chunk: StoredChunk) -> Iterator[list[str]]:
    for source, title in dict.fromkeys((place.source, place.title) for place in chunk.occurrences):
        path = PurePosixPath(source)
        # A suffix alone tells nothing: "which pdf" would be answered by each of them.
        kind = path.suffix.removeprefix(".").casefold()
        for part in path.parts:
            yield [token for token in document_tokens(path_words(part)) if token != kind]
        yield document_tokens(title)

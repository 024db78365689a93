"""Which words a passage is found by: its own, its headings', and what its files are called. It opens no index.

They are cut down as the language that the passage is written in wants it, and the passage is marked with that language.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from retrieval.catalogue.rows import StoredChunk
from retrieval.language import NAMES, UNKNOWN, language_of
from retrieval.reading.picture_passages import path_words
from retrieval.sync.missing_vectors import text_to_embed
from retrieval.tokens import document_tokens

if TYPE_CHECKING:
    from retrieval.index.lexical import TantivyIndex

STRAY = 0.02  # share of the passages below which a language may be a mistake of its detection

_ROW = re.compile(r"^(?=.*(?:[^\d\s],|,[^\d\s]))[^,\n]*(?:,(?! )[^,\n]*){3,}$", re.MULTILINE)
"""A row of values with commas between them: 20,378.00 are two of them there, and no amount."""


def passage_tokens(chunk: StoredChunk) -> list[str]:
    """Return the tokens of what a passage says, under its headings."""
    said = text_to_embed(chunk.headings, chunk.text)
    return document_tokens(_ROW.sub(lambda row: row.group().replace(",", ", "), said), language_of(chunk.text))


def name_tokens(chunk: StoredChunk) -> list[str]:
    """Return the passage's `language_mark`, and the tokens of its files' paths and titles, each once."""
    language = language_of(chunk.text)
    named = dict.fromkeys(token for name in _names(chunk, language) for token in name)
    return [language_mark(language), *named]


def language_mark(language: str) -> str:
    """Return the token that passages in this language are marked with; no text has such a one."""
    return f"={language}"


def languages_held(lexical: "TantivyIndex") -> list[str]:
    """Return the languages of the indexed passages, the most frequent first, without those of a stray passage."""
    marks = {language_mark(language): language for language in NAMES}
    found = lexical.frequencies_in_names(list(marks))
    enough = max(1.0, STRAY * lexical.count)
    return [marks[mark] for mark in sorted(found, key=lambda mark: -found[mark]) if found[mark] >= enough]


def holds_unknown(lexical: "TantivyIndex") -> bool:
    """Say whether there are passages whose language cannot be told."""
    mark = language_mark(UNKNOWN)
    return lexical.frequencies_in_names([mark])[mark] > 0


def _names(chunk: StoredChunk, language: str) -> Iterator[list[str]]:
    for source, title in dict.fromkeys((place.source, place.title) for place in chunk.occurrences):
        path = PurePosixPath(source)
        # A suffix alone tells nothing: "which pdf" would be answered by each of them.
        kind = path.suffix.removeprefix(".").casefold()
        for part in path.parts:
            yield [token for token in document_tokens(path_words(part), language) if token != kind]
        yield document_tokens(title, language)

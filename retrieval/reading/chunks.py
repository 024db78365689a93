"""Splits a document into chunks by its structure, each an exact span of its text.

Headings, pages and table rows bound a chunk; within them LangChain's recursive splitter cuts at paragraphs, lines,
sentences, clauses and words, of Latin and CJK writing. It counts words by itself and knows no embedder's tokens.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.reading.headings import find_headings
from retrieval.records import Chunk, Document

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

_RULES = 1
"""To be raised with every change that splits the same document differently."""
_TOKENS = 220
_OVERLAP = 40
SPLITTER_FINGERPRINT = f"structure-{_RULES}/{_TOKENS}/{_OVERLAP}"
"""Of the default parameters; `fingerprint` says it for others."""

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
# A word, or a CJK character; a word of more than 16 letters is several.
_TOKEN = re.compile(rf"[{_CJK}]|[^\W{_CJK}]{{1,16}}")
# This many signs and blanks cost as much as a word, so that a page of dashes cannot be one huge chunk.
_UNITS = 32
_WORD = re.compile(r"\w")
# Each keeps to what it matched at the end of the piece before; none can backtrack over a long run.
_SEPARATORS = [r"\n\s*\n", r"\n|\r", r"[.!?]\s|[。！？…]", r"[;:,]\s|[；：，、]", r"\s", ""]
_SENTENCE_END = re.compile(r"[\n\r]\s*|[.!?]\s+|[。！？…]\s*")
# As far as a quoted cell may reach over lines before its quotation mark is taken for a character.
_MAX_ROW_CHARS = 20_000
_ROW = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_MAX_HEADING_CHARS = 200
_WITH_HEADINGS = ("markdown", "html", "docx", "opendocument", "book", "mail", "notebook")


@dataclass(frozen=True)
class _Section:
    """A part of the text that no chunk crosses the bounds of."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None


def split(document: Document, *, chunk_tokens: int = _TOKENS, chunk_overlap: int = _OVERLAP) -> list[Chunk]:
    """Split a document.

    Args:
        document: As read; for each chunk, `document.text[chunk.start:chunk.end] == chunk.text`.
        chunk_tokens: Longest chunk, overlap included, in words or CJK characters.
        chunk_overlap: What a chunk repeats of the one before, likewise; at most half of `chunk_tokens`.

    Returns:
        Chunks in order; every word of the text is in one, but those of a CSV's first row, which heads each chunk,
        and of a heading that only stands above other headings. Two chunks have the same id where the text repeats.
    """
    overlap = min(chunk_overlap, chunk_tokens // 2)
    splitter = _splitter(chunk_tokens - overlap)
    chunks = []
    for section in _sections(document, chunk_tokens):
        for start, end in _spans(document.text, section, splitter, chunk_tokens, overlap):
            text = document.text[start:end]
            identity = chunk_id(section.headings, text)
            chunks.append(Chunk(identity, text, start, end, section.page, section.headings))
    return chunks


def fingerprint(chunk_tokens: int, chunk_overlap: int) -> str:
    """Name the rules and parameters; another name means that documents must be split again."""
    return f"structure-{_RULES}/{chunk_tokens}/{chunk_overlap}"


def chunk_id(headings: tuple[str, ...], text: str) -> str:
    """Return the content id: 32 hex digits of the SHA-256 of heading path and text, both normalised."""
    parts = [_normalise(part) for part in (*headings, text)]
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()[:32]


def count_tokens(text: str) -> int:
    """Count words and CJK characters; a long word counts again, and so do every 32 signs and blanks."""
    return _units(text) // _UNITS


def _units(text: str) -> int:
    """Count in parts of a token. The units of two texts joined are never more than their sum."""
    tokens = _TOKEN.findall(text)
    return len(tokens) * _UNITS + len(text) - sum(map(len, tokens))


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _splitter(size: int) -> "RecursiveCharacterTextSplitter":
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    # No overlap and nothing stripped: the pieces are the text, so that their lengths give exact positions. With
    # `add_start_index` LangChain searches for them instead, from an offset that mixes tokens with characters.
    return RecursiveCharacterTextSplitter(
        separators=_SEPARATORS,
        is_separator_regex=True,
        keep_separator="end",
        strip_whitespace=False,
        chunk_size=size * _UNITS,
        chunk_overlap=0,
        length_function=_units,
    )


def _sections(document: Document, chunk_tokens: int) -> Iterator[_Section]:
    if document.pages:
        return (_Section(page.start, page.end, page=page.number) for page in document.pages)
    if document.media_type == "csv":
        return _row_groups(document.text, chunk_tokens)
    if document.media_type == "spreadsheet":
        return _sheets(document.text, chunk_tokens)
    if document.media_type in _WITH_HEADINGS:
        return _under_headings(document.text, underlined=document.media_type in ("markdown", "notebook"))
    return iter((_Section(0, len(document.text)),))


def _sheets(text: str, chunk_tokens: int) -> Iterator[_Section]:
    """Group the rows of each sheet, under the sheet's name with the rows' numbers and the first row."""
    for sheet in _under_headings(text, underlined=False):
        body = text.find("\n", sheet.start, sheet.end) + 1
        if not sheet.headings or not body:
            continue
        if len(sheet.headings) > 1:  # what stands beside the cells
            yield sheet
            continue
        for group in _row_groups(text[body : sheet.end], chunk_tokens):
            start, end = body + group.start, body + group.end
            # Empty rows before and after are not part of what is cited.
            blank = len(text[start:end]) - len(text[start:end].lstrip("\n"))
            first = 1 + text.count("\n", body, start + blank)
            last = first + text[start:end].strip("\n").count("\n")
            rows = f"rows {first} to {last}" if last > first else f"row {first}"
            place = f"{sheet.headings[0]}, {rows}"
            yield _Section(start, end, (place, *group.headings))


def _under_headings(text: str, *, underlined: bool) -> Iterator[_Section]:
    headings = find_headings(text, underlined=underlined)
    if not headings:
        yield _Section(0, len(text))
        return
    yield _Section(0, headings[0].start)
    path: list[tuple[int, str]] = []
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        path = [*(outer for outer in path if outer[0] < heading.level), (heading.level, heading.title)]
        end = following.start if following else len(text)
        # A heading right above a deeper one is in the path of what follows; alone it would be a chunk without content.
        if following and following.level > heading.level and not text[heading.end : end].strip():
            continue
        yield _Section(heading.start, end, tuple(title[:_MAX_HEADING_CHARS] for _, title in path))


def _row_groups(text: str, chunk_tokens: int) -> Iterator[_Section]:
    """Group rows up to the budget; each group is headed by the first row."""
    rows = _rows(text)
    first = next((row for row in rows if text[row[0] : row[1]].strip()), None)
    if first is None:
        return
    header = " ".join(text[first[0] : first[1]].split())[:_MAX_HEADING_CHARS]
    start = end = first[1]
    units = 0
    for row_start, row_end in rows:
        row_units = _units(text[row_start:row_end])
        if end > start and units + row_units > chunk_tokens * _UNITS:
            yield _Section(start, end, (header,))
            start, units = row_start, 0
        end = row_end
        units += row_units
    if _WORD.search(text, start, end):
        yield _Section(start, end, (header,))
    elif start == first[1]:
        yield _Section(*first)


def _rows(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each row, line break included; a quoted cell may hold line breaks."""
    start = 0
    while start < len(text):
        end = first_end = _line_end(text, start)
        quotes = text.count('"', start, end)
        while quotes % 2 and end < len(text) and end - start <= _MAX_ROW_CHARS:
            following = _line_end(text, end)
            quotes += text.count('"', end, following)
            end = following
        # No closing mark in reach: it was an inch sign or a slip, and the row is its line.
        end = first_end if quotes % 2 else end
        yield start, end
        start = end


def _line_end(text: str, start: int) -> int:
    match = _ROW.match(text, start)
    assert match is not None, "the pattern fits any text"
    return match.end()


def _spans(
    text: str, section: _Section, splitter: "RecursiveCharacterTextSplitter", chunk_tokens: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Yield the spans of a section's chunks, without blanks around them."""
    whole = text[section.start : section.end]
    # Only for speed: megabytes of blanks need not be cut first.
    if not _WORD.search(whole):
        return
    pieces = [whole] if _units(whole) <= chunk_tokens * _UNITS else splitter.split_text(whole)
    start = previous = section.start
    for piece in pieces:
        end = start + len(piece)
        if _WORD.search(piece):
            first = _overlap_start(text, previous, start, overlap) if start > section.start else start
            yield _trim(text, first, end)
            previous = start
        start = end


def _overlap_start(text: str, floor: int, start: int, overlap: int) -> int:
    """Go back from `start` by up to `overlap` tokens, not past `floor`, to the start of a sentence if there is one."""
    # No token is longer than its units.
    tokens = list(_TOKEN.finditer(text, max(floor, start - overlap * _UNITS), start))
    earliest = before = start
    units = 0
    for token in reversed(tokens):
        units += _UNITS + earliest - token.end()
        before = token.end()
        if units > overlap * _UNITS:
            break
        before = earliest = token.start()
    sentence = _SENTENCE_END.search(text, before, start)
    return sentence.end() if sentence and earliest <= sentence.end() < start else earliest


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())

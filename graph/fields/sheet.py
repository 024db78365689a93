"""Words of a page or a passage in rows and cells, by where they stand. It judges none of them.

A text without places is a sheet too: its lines are rows, its columns are counted in characters, and bars and tabs part
its cells.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import median

from retrieval.reading.layout import Run, rows_of
from retrieval.records import Line, Region
from retrieval.regions.ocr_lines import sign_widths

CELL_GAP = 1.0
"""Heights of a line: a wider gap between two words parts two cells."""
MOST_WORDS = 20_000
MOST_IN_ROW = 400
"""A longer row is cut, so that pages made to cost time do not."""
MOST_STACKED = 4
"""So many rows a value may run over."""
_BAR = 1_000.0  # columns of a text's cells that bars or tabs part
_RULE = re.compile(r"[\s|:+=_-]*[-=_]{2,}[\s|:+=_-]*")
_PIECE = re.compile(r"[|\t]| {2,}|[^\s|]+")


@dataclass(frozen=True)
class Word:
    """A word and where it stands: in thousandths of the page, or in columns and lines of a text."""

    text: str
    x1: float
    y1: float
    x2: float
    y2: float
    line: int | None = None
    """Which line OCR read it in."""

    @cached_property
    def folded(self) -> str:
        """As it is compared: full-width forms, ligatures and capitals are as others."""
        return fold(self.text)


@dataclass
class Row:
    """Words beside each other."""

    words: list[Word]
    cells: list[int]
    """Of each word, which cell it stands in, from 0."""

    @cached_property
    def height(self) -> float:
        """Of its words."""
        return median(word.y2 - word.y1 for word in self.words) or 1.0

    def cell(self, number: int) -> tuple[int, int]:
        """Return the first word of a cell and the one behind its last."""
        return self.spans[number]

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """Of each cell, its first word and the one behind its last."""
        found: dict[int, tuple[int, int]] = {}
        for n, cell in enumerate(self.cells):
            found[cell] = (found[cell][0] if cell in found else n, n + 1)
        return found

    def text(self, first: int = 0, last: int | None = None) -> str:
        """Return the words as they stand there."""
        return " ".join(word.text for word in self.words[first:last])


Place = tuple[int, int]
"""Row and word."""


@dataclass(frozen=True)
class Stream:
    """Text in which a value may stand, and of each of its characters the word; None between words."""

    text: str
    owners: tuple[Place | None, ...]

    def shares(self, start: int, end: int) -> dict[Place, tuple[float, float]]:
        """Return the words of a part, and from where to where in each it goes, 0 to 1."""
        found: dict[Place, tuple[float, float]] = {}
        for owner in dict.fromkeys(self.owners[start:end]):
            if owner is not None:
                first = self.owners.index(owner)
                behind = (n for n in range(first, len(self.owners)) if self.owners[n] != owner)
                long = next(behind, len(self.owners)) - first
                found[owner] = (max(start - first, 0) / long, min(end - first, long) / long)
        return found


@dataclass
class Sheet:
    """A page, a picture or a passage."""

    source: str
    rows: list[Row]
    page: int | None = None
    has_places: bool = True
    """Whether its words stand on a page, and not only in a text."""
    notes: list[str] = field(default_factory=list)

    @cached_property
    def streams(self) -> list[Stream]:
        """Each row as one text, two blanks between its cells."""
        return [_stream([(n, first) for first in range(len(row.words))], self.rows) for n, row in enumerate(self.rows)]

    @cached_property
    def stacks(self) -> list[Stream]:
        """Cells with what stands below them, where that can be the rest of a value."""
        found = []
        for n, row in enumerate(self.rows):
            for cell in row.spans:
                stack = [(n, cell)]
                while len(stack) < MOST_STACKED and (under := self._under(*stack[-1])) is not None:
                    stack.append(under)
                    found.append(_stream([(r, w) for r, c in stack for w in range(*self.rows[r].cell(c))], self.rows))
        return found

    def above(self, row: int, x1: float, x2: float) -> tuple[int, int] | None:
        """Return the row and the cell that stand directly above a place; None where nothing does."""
        return self._next(range(row - 1, -1, -1), row, x1, x2)

    def below(self, row: int, x1: float, x2: float) -> tuple[int, int] | None:
        """Return the row and the cell that stand directly below a place."""
        return self._next(range(row + 1, len(self.rows)), row, x1, x2)

    def regions(self, shares: Mapping[Place, tuple[float, float]]) -> list[Region]:
        """Return where words stand on the page, of each a share from 0 to 1, one region a row."""
        if not self.has_places:
            return []
        found: dict[int, Region] = {}
        for (row, number), (start, end) in shares.items():
            word = self.rows[row].words[number]
            wide = word.x2 - word.x1
            x1, x2 = round(word.x1 + start * wide, 1), round(word.x1 + end * wide, 1)
            one = Region(self.page or 1, x1, round(word.y1, 1), x2, round(word.y2, 1))
            known = found.get(row)
            found[row] = one if known is None else _joined(known, one)
        return list(found.values())

    def _under(self, row: int, cell: int) -> tuple[int, int] | None:
        first, last = self.rows[row].cell(cell)
        words = self.rows[row].words
        return self.below(row, words[first].x1, words[last - 1].x2)

    def _next(self, numbers: range, row: int, x1: float, x2: float) -> tuple[int, int] | None:
        here = self.rows[row]
        for number in numbers:
            other = self.rows[number]
            upper, lower = (other, here) if number < row else (here, other)
            gap = min(word.y1 for word in lower.words) - max(word.y2 for word in upper.words)
            if gap > 1.5 * max(here.height, other.height):
                return None
            for cell, (first, last) in other.spans.items():
                if other.words[first].x1 < x2 and other.words[last - 1].x2 > x1:
                    return number, cell
        return None


def fold(text: str) -> str:
    """Return a text as it is compared."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\u00a0", " ").replace("\u2212", "-")


def sheet_of_lines(source: str, page: int | None, lines: Sequence[Line]) -> Sheet:
    """Return the sheet of words or lines that stand on a page, in whatever order they come."""
    words = [word for number, line in enumerate(lines) for word in _words_of(line, number)][:MOST_WORDS]
    runs = [Run(word.text, word.x1, word.y1, word.x2, word.y2, n) for n, word in enumerate(words)]
    rows: list[Row] = []
    for row in rows_of(runs):
        members = [words[run.order] for run in row]
        wide = CELL_GAP * (median(word.y2 - word.y1 for word in members) or 1.0)
        cells = [0]
        for left, right in pairwise(members):
            other_line = left.line is not None and right.line is not None and left.line != right.line
            cells.append(cells[-1] + (right.x1 - left.x2 > (wide / 2 if other_line else wide)))
        rows += _cut(members, cells)
    return Sheet(source, rows, page)


def sheet_of_text(source: str, page: int | None, text: str) -> Sheet:
    """Return the sheet of a text that stands on no page, or whose places nobody knows."""
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n")):
        if _RULE.fullmatch(line):
            continue
        words, cells = list[Word](), list[int]()
        barred, cell, used = "|" in line or "\t" in line, 0, False
        for piece in _PIECE.finditer(line):
            if not piece[0].strip() or piece[0] == "|":
                cell += piece[0] in "|\t" if barred else used
                used = False
                continue
            used = True
            at = cell * _BAR if barred else float(piece.start())
            end = (cell + 1) * _BAR if barred else float(piece.end())
            words.append(Word(piece[0], at, float(number), end, number + 1.0))
            cells.append(cell)
            if len(words) >= MOST_WORDS:
                break
        if words:
            first = cells[0]
            rows += _cut(words, [cell - first for cell in cells] if not barred else cells)
    return Sheet(source, rows, page, has_places=False)


def _cut(words: list[Word], cells: list[int]) -> Iterator[Row]:
    for at in range(0, len(words), MOST_IN_ROW):
        yield Row(words[at : at + MOST_IN_ROW], cells[at : at + MOST_IN_ROW])


def _words_of(line: Line, number: int) -> Iterator[Word]:
    """Give the words of a line, each with its share of it."""
    region, pieces = line.region, list(re.finditer(r"\S+", line.text))
    if len(pieces) == 1:
        yield Word(pieces[0][0], region.x1, region.y1, region.x2, region.y2)
        return
    widths = sign_widths(line.text)
    whole = sum(widths) or 1.0
    for piece in pieces:
        start, end = sum(widths[: piece.start()]) / whole, sum(widths[: piece.end()]) / whole
        wide = region.x2 - region.x1
        yield Word(piece[0], region.x1 + start * wide, region.y1, region.x1 + end * wide, region.y2, number)


def _stream(places: Sequence[Place], rows: Sequence[Row]) -> Stream:
    parts, owners = list[str](), list[Place | None]()
    last: Place | None = None
    for row, number in places:
        if last is not None:
            gap = "  " if last[0] == row and rows[row].cells[last[1]] != rows[row].cells[number] else " "
            parts.append(gap)
            owners += [None] * len(gap)
        text = rows[row].words[number].folded
        parts.append(text)
        owners += [(row, number)] * len(text)
        last = row, number
    return Stream("".join(parts), tuple(owners))


def _joined(a: Region, b: Region) -> Region:
    return Region(a.page, min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2))

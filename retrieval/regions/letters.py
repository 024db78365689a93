"""Finds a passage among the letters of pages, and joins the boxes of its letters to lines. It opens no file.

Only letters and digits are compared, without their accents and forms: hyphens at a line's end, bars between cells and
all white space are another in a passage than on its page.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from retrieval.records import Region

MOST_REGIONS = 200
"""Of a passage; beyond it lines that follow each other are framed together."""
FEWEST_ALIKE = 8
"""So many letters in a row must agree, where a passage does not stand there as one piece."""
# Of the lower letter's height, for two to stand on one line: a comma shares less than half of its own with a letter.
_SHARE = 0.3
_GAP = 3.0  # heights between two letters of a line


@dataclass(frozen=True)
class Letter:
    """A sign and where it stands."""

    sign: str
    region: Region
    line: int | None = None
    """Which line it belongs to, where that is known; else its place tells."""


@dataclass
class Letters:
    """The letters of pages in reading order, and their text as it is compared."""

    letters: list[Letter] = field(default_factory=list)
    text: str = ""
    owners: list[int] = field(default_factory=list)
    """For each sign of `text`, the number of its letter."""

    def add(self, letters: Iterable[Letter]) -> None:
        """Add letters behind those that are there."""
        parts = [self.text]
        for letter in letters:
            signs = compared(letter.sign)
            self.owners += [len(self.letters)] * len(signs)
            self.letters.append(letter)
            parts.append(signs)
        self.text = "".join(parts)


@dataclass(frozen=True)
class Found:
    """Where a passage stands."""

    regions: tuple[Region, ...]
    share: float
    """How much of its letters and digits stands there, 0 to 1."""


NOT_FOUND = Found((), 0.0)


def compared(text: str) -> str:
    """Return the text's letters and digits as they are compared."""
    if text.isascii():
        return "".join(sign for sign in text.lower() if sign.isalnum())
    return "".join(sign for sign in unicodedata.normalize("NFKD", text).casefold() if sign.isalnum())


def find(letters: Letters, passage: str, before: str = "") -> Found:
    """Find a passage.

    Args:
        letters: Of the pages on which it may stand.
        passage: As it stands in the document's text.
        before: The text of its page in front of it: tells which of several equal places is meant.
    """
    wanted = compared(passage)
    if not wanted or not letters.text:
        return NOT_FOUND
    at = _place(letters.text, wanted, compared(before))
    pieces = [(at, at + len(wanted))] if at >= 0 else _pieces(letters.text, wanted)
    share = sum(end - start for start, end in pieces) / len(wanted)
    found: list[Letter] = []
    for start, end in pieces:
        first, last = letters.owners[start], letters.owners[end - 1]
        if end == pieces[-1][1]:
            last = _with_signs(letters.letters, last, passage)
        found += letters.letters[first : last + 1]
    return Found(tuple(lines(found)), share)


def lines(letters: Sequence[Letter], most: int = MOST_REGIONS) -> list[Region]:
    """Join letters in reading order to one region a line, rows of letters above each other included."""
    found: list[Region] = []
    last: Letter | None = None
    upright = False
    for letter in letters:
        region = letter.region
        if region.x2 <= region.x1 or region.y2 <= region.y1:
            continue
        joins = below = False
        if last is not None and (letter.line is not None or last.line is not None):
            joins = letter.line == last.line and region.page == last.region.page
        elif last is not None:
            joins = _is_beside(last.region, region, found[-1].y2 - found[-1].y1)
            below = not joins and _is_below(last.region, region) and (upright or found[-1] == last.region)
        if joins or below:
            found[-1] = _joined(found[-1], region)
        else:
            found.append(region)
        upright, last = below, letter
    while len(found) > most:
        found = [_joined(*pair) for pair in _pairs(found)]
    return found


def read_back(letters: Letters, regions: Sequence[Region]) -> str:
    """Return what stands inside regions, as it is compared: of each the letters whose middles lie in it."""
    parts = []
    for region in regions:
        for letter in letters.letters:
            one = letter.region
            x, y = (one.x1 + one.x2) / 2, (one.y1 + one.y2) / 2
            if one.page == region.page and region.x1 <= x <= region.x2 and region.y1 <= y <= region.y2:
                parts.append(compared(letter.sign))
    return "".join(parts)


def _place(text: str, wanted: str, before: str) -> int:
    """Return where a passage stands as one piece; of several places the one with most of the same text before it."""
    places: list[int] = []
    at = text.find(wanted)
    while at >= 0 and len(places) < 100:
        places.append(at)
        at = text.find(wanted, at + 1)
    if len(places) < 2:
        return places[0] if places else -1
    nth = _count(before, wanted)
    return places[min(nth, len(places) - 1)]


def _count(text: str, wanted: str) -> int:
    count, at = 0, text.find(wanted)
    while at >= 0:
        count, at = count + 1, text.find(wanted, at + 1)
    return count


def _pieces(text: str, wanted: str) -> list[tuple[int, int]]:
    """Return the pieces of a text that make up most of a passage, each behind the last one where it can be."""
    pieces: list[tuple[int, int]] = []
    at, behind = 0, 0
    while at <= len(wanted) - FEWEST_ALIKE:
        head = wanted[at : at + FEWEST_ALIKE]
        start = text.find(head, behind)
        start = text.find(head) if start < 0 else start
        if start < 0:
            at += 1
            continue
        end = start + FEWEST_ALIKE
        at += FEWEST_ALIKE
        while at < len(wanted) and end < len(text) and wanted[at] == text[end]:
            at, end = at + 1, end + 1
        pieces.append((start, end))
        behind = end
    return pieces


def _with_signs(letters: Sequence[Letter], last: int, passage: str) -> int:
    """Return the last letter that belongs to a passage, its closing signs included."""
    signs = [sign for sign in passage if not sign.isspace()]
    tail = signs[len(signs) - next((n for n, s in enumerate(reversed(signs)) if compared(s)), 0) :]
    for sign in tail[:3]:
        if last + 1 < len(letters) and letters[last + 1].sign == sign:
            last += 1
    return last


def _is_beside(a: Region, b: Region, line_height: float) -> bool:
    shared = min(a.y2, b.y2) - max(a.y1, b.y1)
    gap = max(b.x1 - a.x2, a.x1 - b.x2)
    highest = max(min(line_height, 4 * (a.y2 - a.y1)), b.y2 - b.y1, 8.0)
    return a.page == b.page and shared >= _SHARE * min(a.y2 - a.y1, b.y2 - b.y1) and gap <= _GAP * highest


def _is_below(a: Region, b: Region) -> bool:
    width = min(a.x2 - a.x1, b.x2 - b.x1)
    shared = min(a.x2, b.x2) - max(a.x1, b.x1)
    gap = max(b.y1 - a.y2, a.y1 - b.y2)
    return a.page == b.page and shared >= _SHARE * width and gap <= max(a.x2 - a.x1, b.x2 - b.x1)


def _joined(a: Region, b: Region) -> Region:
    return Region(a.page, min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2))


def _pairs(regions: Sequence[Region]) -> list[tuple[Region, Region]]:
    pairs = []
    at = 0
    while at < len(regions):
        other = regions[at + 1] if at + 1 < len(regions) and regions[at + 1].page == regions[at].page else regions[at]
        pairs.append((regions[at], other))
        at += 1 if other is regions[at] else 2
    return pairs

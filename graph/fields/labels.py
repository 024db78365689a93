"""Which words of a sheet are the label of a value: before it on its row, directly above it, or right behind it.

A value under a heading with other values below it stands in a column of a table and has no label of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graph.fields.concepts import is_listed, of_words
from graph.fields.sheet import Place, Row, Sheet

MOST_WORDS = 12
"""So far before a value its label may begin."""
HEADING_WORDS = 6
LONGEST = 60
"""Characters of a word that are looked at; longer ones are no numbers."""
_STOP = re.compile(r".*(?:[!?;。；！？]|[^\W\d_]{5,}\.)[\"'”)]*$")
_SIGNS = re.compile(r"[^\w#№]*")
_CURRENCY = re.compile(r"(?:eur|usd|gbp|chf|jpy|cny|inr|€|\$|£|¥|元)[.:]?")
_NUMBER = re.compile(r"[^\w]*(?:(?:eur|usd|gbp|chf)?[\d.,'’/:%-]*\d[\d.,'’/:%-]*(?:eur|usd|gbp|chf)?)[^\w]*")


@dataclass(frozen=True)
class Label:
    """Words that name a value."""

    text: str
    means: frozenset[str]
    distance: int
    """0 before it, 1 above it, 2 behind it."""
    places: tuple[Place, ...]


def labels_of(sheet: Sheet, row: int, first: int, last: int) -> Iterator[Label]:
    """Yield what may be the label of the words `first` to `last` (exclusive) of a row, the likeliest first."""
    left = _left(sheet, row, first)
    if left is not None:
        yield left
        if is_listed(left.means) or left.text.rstrip().endswith((":", "：")):
            return
    above = _above(sheet, row, first, last)
    if above is not None:
        yield above
    if left is None and above is None and (right := _right(sheet, row, last)) is not None:
        yield right


def _left(sheet: Sheet, row: int, first: int) -> Label | None:
    here = sheet.rows[row]
    taken: list[int] = []
    skipped = False
    for number in range(first - 1, -1, -1):
        word = here.words[number].folded
        if taken and here.cells[number] != here.cells[taken[-1]]:
            break
        if _SIGNS.fullmatch(word) or _CURRENCY.fullmatch(word) or (taken and word.rstrip(").,:").endswith("%")):
            continue
        if _is_number(word) and "#" not in word:
            if taken or skipped:
                break
            skipped = True
            continue
        if _STOP.fullmatch(word[-LONGEST:]) and not (word.endswith(".") and is_listed(of_words(word))):
            break
        taken.append(number)
        if len(taken) == MOST_WORDS:
            break
    return _label(here, row, taken[::-1], 0)


def _right(sheet: Sheet, row: int, last: int) -> Label | None:
    here = sheet.rows[row]
    taken: list[int] = []
    for number in range(last, len(here.words)):
        word = here.words[number].folded
        if here.cells[number] != here.cells[last - 1] or _is_number(word):
            break
        taken.append(number)
        if _STOP.fullmatch(word[-LONGEST:]) or len(taken) == HEADING_WORDS:
            break
    return _label(here, row, taken, 2)


def _above(sheet: Sheet, row: int, first: int, last: int) -> Label | None:
    here = sheet.rows[row]
    begin, end = here.cell(here.cells[first])
    if any(not _SIGNS.fullmatch(one.folded) and not _CURRENCY.fullmatch(one.folded) for one in here.words[begin:first]):
        return None
    if end - last > 2 and here.cells[last - 1] == here.cells[first]:
        return None
    x1, x2 = here.words[first].x1, here.words[last - 1].x2
    if (found := sheet.above(row, x1, x2)) is None:
        return None
    if any(map(str.isdigit, here.text(first, last))) and _is_column(sheet, row, x1, x2):
        return None
    heading, number = sheet.rows[found[0]], found[1]
    start, stop = heading.cell(number)
    words = heading.words[start:stop]
    if len(words) > HEADING_WORDS or any(_is_number(one.folded) for one in words):
        return None
    return _label(heading, found[0], list(range(start, stop)), 1)


def _is_column(sheet: Sheet, row: int, x1: float, x2: float) -> bool:
    """Return whether a number stands directly below, as in the columns of a table."""
    if (found := sheet.below(row, x1, x2)) is None:
        return False
    below = sheet.rows[found[0]]
    start, stop = below.cell(found[1])
    return any(any(map(str.isdigit, one.folded)) for one in below.words[start:stop])


def _label(row: Row, number: int, taken: list[int], distance: int) -> Label | None:
    if not taken:
        return None
    words = row.words[taken[0] : taken[-1] + 1]
    text = " ".join(word.text for word in words)
    means = of_words(text)
    return Label(text, means, distance, tuple((number, n) for n in taken)) if means else None


def _is_number(word: str) -> bool:
    return len(word) <= LONGEST and _NUMBER.fullmatch(word) is not None

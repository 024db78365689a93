"""Sees an answer that repeats itself without end, while it is written, and cuts it; tables and lists are left alone.

A repetition penalty at sampling would change honest repetitions too, such as a table's cells. Here the words are only
looked at: the longest end of the text that has a period (by the prefix function of the reversed text; Knuth,
Morris and Pratt 1977) is a loop if its unit comes back more often than a unit of its kind honestly does.
"""

import re
from dataclasses import dataclass

EVERY = 64
"""Characters after which the text is looked at again."""
TAIL = 6000
"""Characters that are looked at; a loop of longer units is seen when it has come back often enough in them."""

_ROW = re.compile(r"^\s*(?:[|+>#*•·\-–]|\d+[.)、:]|\[[ x]\])|\t|\|.*\||(?:,.*){2}|^\s*[\d\s.,;:%$€£¥+\-/()]*$")
_JSON = re.compile(r"\"\s*:|[{}]")
_RULER = re.compile(r"[-=_.*·•#~+|:…—–\s]*")
_WORD = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u4e00-\u9fff]")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Limit:
    """From when a repetition of one kind is a loop."""

    repeats: int
    chars: int
    """Of all repetitions together."""


BLANK = Limit(2, 240)
RULER = Limit(2, 1200)
"""Lines drawn with signs, dots that lead to a page number."""
SIGNS = Limit(40, 400)
"""Units of one to three characters: digits of a number, laughter."""
CELLS = Limit(100, 600)
"""Cells without words inside one line."""
ROWS = Limit(50, 1000)
"""Rows of tables and items of lists that are equal."""
WORDS = Limit(12, 100)
"""Short units inside a line: refrains."""
SENTENCES = Limit(6, 150)
LINES = Limit(5, 200)
"""Whole lines or paragraphs of prose."""
COUNTED = Limit(10, 500)
"""Sentences and lines of prose that differ in their numbers alone."""
COUNTED_ROWS = Limit(250, 5000)


class RepetitionGuard:
    """Watches one answer as it is written."""

    def __init__(self) -> None:
        self._text = ""
        self._looked = 0
        self.cut_at: int | None = None
        """Where the text ends without its loop, which begins once; None while there is none."""

    def add(self, words: str) -> bool:
        """Take up the next words; returns whether the text is a loop now, so that nobody need write on."""
        self._text += words
        if self.cut_at is None and len(self._text) - self._looked >= EVERY:
            self._looked = len(self._text)
            self.cut_at = find_loop(self._text)
        return self.cut_at is not None


def cut_loop(text: str) -> tuple[str, bool]:
    """Return a whole text without its endless repetition, and whether there was one."""
    guard = RepetitionGuard()
    for start in range(0, len(text), EVERY):
        if guard.add(text[start : start + EVERY]):
            return text[: guard.cut_at].rstrip(), True
    return text, False


def find_loop(text: str) -> int | None:
    """Return where the text would end if its loop came once; None if its end is no loop."""
    tail = text[-TAIL:]
    before = len(text) - len(tail)
    exact = _loop(tail, counted=False)
    if exact is not None:
        return before + exact
    # Numbers made equal keep their places: each digit becomes a 0, each further one of a number goes to its end.
    plain, places = _without_numbers(tail)
    counted = _loop(plain, counted=True)
    return None if counted is None else before + places[min(counted, len(places) - 1)]


def _loop(tail: str, *, counted: bool) -> int | None:
    """Return where the first repetition of the longest loop at the end of the tail ends."""
    backwards = tail[::-1]
    border = _prefix_function(backwards)
    for length in range(len(backwards), EVERY, -1):
        period = length - border[length - 1]
        repeats = length // period
        if repeats < 2:
            continue
        limit = _limit(tail[-period:], counted)
        if limit is not None and repeats >= limit.repeats and length >= limit.chars:
            return len(tail) - length + period
    return None


def _limit(unit: str, counted: bool) -> Limit | None:
    """Return from when a unit's repetition is a loop; None if it never is."""
    start = unit.find("\n") + 1  # a period begins anywhere; its lines are judged whole
    lines = [line for line in (unit[start:] + unit[:start]).split("\n") if line.strip()]
    words = _WORD.findall(unit)
    rows = bool(_JSON.search(unit)) or (bool(lines) and "\n" in unit and all(map(_ROW.search, lines)))
    if counted:
        return None if len(words) < 3 else COUNTED_ROWS if rows else COUNTED
    if not unit.strip():
        return BLANK
    if _RULER.fullmatch(unit):
        return RULER
    if rows:
        return ROWS
    if "\n" in unit:
        return LINES
    if not words:
        return SIGNS if len(unit) <= 3 else CELLS
    return SIGNS if len(unit) <= 3 else WORDS if len(unit) < 16 else SENTENCES


def _without_numbers(text: str) -> tuple[str, list[int]]:
    """Return the text with every number as one 0, and for each of its characters where it ends in the text."""
    plain: list[str] = []
    places: list[int] = []
    at = 0
    for number in _DIGITS.finditer(text):
        plain.extend(text[at : number.start()])
        places.extend(range(at + 1, number.start() + 1))
        plain.append("0")
        places.append(number.end())
        at = number.end()
    plain.extend(text[at:])
    places.extend(range(at + 1, len(text) + 1))
    return "".join(plain), places or [0]


def _prefix_function(text: str) -> list[int]:
    """Return for each beginning of the text the length of its longest proper border."""
    border = [0] * len(text)
    length = 0
    for at in range(1, len(text)):
        while length and text[at] != text[length]:
            length = border[length - 1]
        if text[at] == text[length]:
            length += 1
        border[at] = length
    return border

"""Lines that OCR read, as letters on the page. It reads none and keeps none."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from statistics import pstdev

from retrieval.records import Line, Region
from retrieval.regions.letters import Letter

# In small letters, as in Helvetica, Times and their like.
_WIDTHS = dict.fromkeys("ijlI.,:;'|!", 0.5) | dict.fromkeys('frt()[]{}/\\-" ', 0.65) | dict.fromkeys("mwMW@%", 1.6)
_SMALL, _CAPITAL, _FULL = 1.05, 1.25, 2.0
_FEWEST_LINES, _FEWEST_SIGNS = 5, 15
_EVEN = 0.012


def letters_of(lines: Sequence[Line]) -> Iterator[Letter]:
    """Give the letters of a page's lines, each with its share of its line."""
    even = _are_even(lines)
    for number, line in enumerate(lines):
        widths = sign_widths(line.text, even=even)
        whole, at = sum(widths) or 1.0, 0.0
        for sign, width in zip(line.text, widths, strict=True):
            if sign.strip():
                yield Letter(sign, _part(line, at / whole, (at + width) / whole), number)
            at += width


def sign_widths(text: str, *, even: bool = False) -> list[float]:
    """Return how wide the signs of a text are beside each other; `even` takes a typewriter's."""
    return [
        _FULL
        if unicodedata.east_asian_width(sign) in "WF"
        else 1.0
        if even
        else _WIDTHS.get(sign) or (_CAPITAL if sign.isupper() else _SMALL)
        for sign in text
    ]


def _are_even(lines: Sequence[Line]) -> bool:
    """Whether all signs of a page are of one width, as a typewriter's: its lines are as long as they have signs."""
    long = [line for line in lines if len(line.text) >= _FEWEST_SIGNS and line.region.x2 > line.region.x1]
    if len(long) < _FEWEST_LINES or any(line.turned % 180 for line in long):
        return False
    even, other = (
        pstdev(math.log(sum(sign_widths(line.text, even=e)) / (line.region.x2 - line.region.x1)) for line in long)
        for e in (True, False)
    )
    return even < min(_EVEN, other / 2)


def _part(line: Line, start: float, end: float) -> Region:
    """Return the part of a line between two shares of its length, along the way that it runs on the page."""
    page, x1, y1, x2, y2 = astuple(line.region)
    if not line.turned and y2 - y1 > 2 * (x2 - x1) and len(line.text) > 1:
        return line.region  # it stands upright, and the reader does not tell in which direction it runs
    match line.turned:
        # What was turned by 90 degrees against the clock to be read runs downwards on the page, by 270 upwards.
        case 90:
            y1, y2 = y1 + start * (y2 - y1), y1 + end * (y2 - y1)
        case 270:
            y1, y2 = y2 - end * (y2 - y1), y2 - start * (y2 - y1)
        case 180:
            x1, x2 = x2 - end * (x2 - x1), x2 - start * (x2 - x1)
        case _:
            x1, x2 = x1 + start * (x2 - x1), x1 + end * (x2 - x1)
    return Region(page, round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1))

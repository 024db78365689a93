"""Lines that OCR read, as letters on the page. It reads none and keeps none."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from retrieval.records import Line, Region
from retrieval.regions.letters import Letter

_WIDE = 2.0  # of a Chinese sign, in Latin letters


def letters_of(lines: Sequence[Line]) -> Iterator[Letter]:
    """Give the lines' letters, each with its share of its line."""
    for number, line in enumerate(lines):
        widths = [_WIDE if unicodedata.east_asian_width(sign) in "WF" else 1.0 for sign in line.text]
        whole, at = sum(widths) or 1.0, 0.0
        for sign, width in zip(line.text, widths, strict=True):
            if sign.strip():
                yield Letter(sign, _part(line, at / whole, (at + width) / whole), number)
            at += width


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

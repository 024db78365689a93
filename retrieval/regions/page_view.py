"""What of a page a reader should see beside a passage's words: decides whether the page shows more, and cuts it out.

It knows rectangles in thousandths of a page and draws nothing.
"""

from collections.abc import Sequence

from retrieval.records import Region

FEWEST_SHAPES = 6
"""So many lines and boxes are a chart or a ruled table; fewer are decoration."""
LARGE = 20_000.0
"""Square thousandths, 2 % of a page: a picture of that size is a figure, a smaller one a logo."""
NEAR = 60.0
"""Thousandths: what stands so near to the passage, or to what belongs to it, belongs to it."""
MARGIN = 15.0
WHOLE = 0.7
"""A cut of more than this share of the page is the whole page."""
_GROUND = 0.9 * 1_000_000


def shows_more(pictures: Sequence[Region], shapes: Sequence[Region], *, has_words: bool) -> bool:
    """Return whether a page shows what its words cannot say: a figure, a chart, a table with lines, a scan."""
    lines = [one for one in shapes if _area(one) < _GROUND]
    return not has_words or any(_area(one) >= LARGE for one in pictures) or len(lines) >= FEWEST_SHAPES


def cut_around(passage: Sequence[Region], pictures: Sequence[Region], shapes: Sequence[Region]) -> Region | None:
    """Return the part of a page that holds a passage and the figures that stand by it; None is the whole page."""
    if not passage:
        return None
    cut = passage[0]
    for region in passage[1:]:
        cut = _joined(cut, region)
    left = [one for one in (*pictures, *shapes) if _area(one) < _GROUND]
    while near := [one for one in left if _gap(cut, one) <= NEAR]:
        for one in near:
            cut = _joined(cut, one)
        left = [one for one in left if one not in near]
    x1, y1 = max(cut.x1 - MARGIN, 0.0), max(cut.y1 - MARGIN, 0.0)
    x2, y2 = min(cut.x2 + MARGIN, 1_000.0), min(cut.y2 + MARGIN, 1_000.0)
    whole = Region(cut.page, x1, y1, x2, y2)
    return None if _area(whole) > WHOLE * 1_000_000 else whole


def _area(one: Region) -> float:
    return (one.x2 - one.x1) * (one.y2 - one.y1)


def _gap(a: Region, b: Region) -> float:
    return max(b.x1 - a.x2, a.x1 - b.x2, b.y1 - a.y2, a.y1 - b.y2, 0.0)


def _joined(a: Region, b: Region) -> Region:
    return Region(a.page, min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2))

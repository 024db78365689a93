"""Finds the drawings of a page among its lines and shapes: charts, diagrams, sketches. It opens no file.

What stands near to each other is looked at together. It is a drawing if there is a slanted line or curve of some size
in it, bars of different lengths from one ground line, two axes with their small lines, scattered marks of one form, or
boxes with arrows. So ruled tables, forms, underlines and frames around words are none, and neither are drawings of
level lines and equal boxes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise, product
from statistics import median

from retrieval.records import Region
from retrieval.regions.page_view import LARGE
from retrieval.regions.pdf_graphics import DrawnPath

# All in thousandths of the page, or of their square.
SMALLEST_SIDE = 60.0
_WHOLE = 850_000.0
_CELL = 8.0  # what is nearer is together, what is twice as far is not
_THIN = 5.0  # PDFium gives a line of one point nearly three
_SAME = 2.5
_MARK = 25.0  # the largest mark of a scatter chart, or head of an arrow
_TICK = 20.0
_FEWEST_MARKS, _FEWEST_BARS, _FEWEST_BOXES, _FEWEST_HEADS, _FEWEST_TICKS = 8, 3, 3, 2, 3
_MOST_BOXES = 60
_SHARE_OF_SIDE = 0.25
_WORDY = 0.06  # of its area: beside so many words one or two slanted lines are decoration
_LABEL_GAP, _MOST_GROWTH, _MARGIN = 14.0, 60.0, 4.0
_LAST = int(1_000 / _CELL)
_ROW = _LAST + 3
_NEIGHBOURS = (-_ROW - 1, -_ROW, -_ROW + 1, -1, 1, _ROW - 1, _ROW, _ROW + 1)
_LABEL_ROUNDS = 2  # the numbers at an axis, and what they are


def drawings_among(paths: Sequence[DrawnPath], words_of_page: Callable[[], Sequence[Region]]) -> list[Region]:
    """Return where drawings stand, each with the words by it.

    Args:
        paths: Of one page.
        words_of_page: Gives its words; asked only where something may be a drawing.
    """
    drawn = [one for one in paths if _area(one.region) < _WHOLE]
    found, words = [], None
    for members in _clusters([one.region for one in drawn]):
        box = _around([drawn[n].region for n in members])
        if min(_wide(box), _high(box)) < SMALLEST_SIDE or not LARGE <= _area(box) < _WHOLE:
            continue
        words = words_of_page() if words is None else words
        inside = [one for one in words if _holds(box, one)]
        if _is_drawing([drawn[n] for n in members], box, inside):
            found.append(_labelled(box, words))
    return found


def _is_drawing(members: Sequence[DrawnPath], box: Region, words: Sequence[Region]) -> bool:
    slanted = [one.region for one in members if one.slanted]
    large = [one for one in slanted if _is_large(one, box)]
    wordy = sum(map(_area, words)) > _WORDY * _area(box)
    if large and (not wordy or len(slanted) > _FEWEST_HEADS):
        return True
    solid = [one.region for one in members if one.solid and not one.slanted]
    level = [one.region for one in members if not one.slanted]
    if _are_bars(solid, words) or _are_scattered(slanted) or _have_scales(level):
        return True
    heads = [one for one in slanted if max(_wide(one), _high(one)) <= _MARK]
    return len(heads) >= _FEWEST_HEADS and _are_apart(level, box)


def _is_large(one: Region, box: Region) -> bool:
    long = _wide(one) >= _SHARE_OF_SIDE * _wide(box) or _high(one) >= _SHARE_OF_SIDE * _high(box)
    return long and min(_wide(one), _high(one)) > _THIN


def _are_bars(solid: Sequence[Region], words: Sequence[Region]) -> bool:
    """Whether bars of one thickness stand on one line and end at different heights."""
    groups: dict[tuple[str, int, int], list[tuple[float, Region]]] = defaultdict(list)
    for one in solid:
        if min(_wide(one), _high(one)) <= _THIN:
            continue
        # By both ends: bars may hang from their line, too.
        for end, at, thick, length in (
            ("below", one.y2, _wide(one), _high(one)),
            ("above", one.y1, _wide(one), _high(one)),
            ("left", one.x1, _high(one), _wide(one)),
            ("right", one.x2, _high(one), _wide(one)),
        ):
            for key in product(_bins(at), _bins(thick)):
                groups[end, *key].append((length, one))
    for bars in groups.values():
        lengths = sorted(length for length, _ in bars)
        steps = sum(b - a > 2 * _SAME for a, b in pairwise(lengths))
        if len(bars) < _FEWEST_BARS or not steps:
            continue
        # Cells of a table may be of different lengths as well, but they touch, and there are words in them.
        apart = len(_apart([bar for _, bar in bars[:_MOST_BOXES]])) >= min(len(bars), _MOST_BOXES)
        written = any(_holds(bar, word) for _, bar in bars for word in words)
        if (apart and steps > 1) or (not written and (apart or steps > 1)):
            return True
    return False


def _are_scattered(slanted: Sequence[Region]) -> bool:
    """Whether many marks of one form stand in different rows and columns, as letters and bullets do not."""
    marks = [one for one in slanted if max(_wide(one), _high(one)) <= _MARK]
    if len(marks) < _FEWEST_MARKS:
        return False
    wide, high = median(map(_wide, marks)), median(map(_high, marks))
    alike = [one for one in marks if abs(_wide(one) - wide) <= _SAME and abs(_high(one) - high) <= _SAME]
    columns, rows = {round(one.x1) for one in alike}, {round(one.y1) for one in alike}
    enough = len(alike) >= max(_FEWEST_MARKS, len(marks) / 2)
    return enough and len(columns) >= len(alike) / 2 and len(rows) >= len(alike) / 3


def _have_scales(level: Sequence[Region]) -> bool:
    """Whether there are small lines at an upright and at a level line, as at the axes of a chart."""
    beside: dict[int, set[int]] = defaultdict(set)
    below: dict[int, set[int]] = defaultdict(set)
    for one in level:
        thin, long = sorted((_wide(one), _high(one)))
        if thin > _THIN or long > _TICK or long < 1.5 * thin:
            continue
        at, along, ticks = (one.x1, one.y1, beside) if _wide(one) == long else (one.y1, one.x1, below)
        for place in _bins(at):
            ticks[place].add(round(along / _SAME))
    return all(any(len(places) >= _FEWEST_TICKS for places in ticks.values()) for ticks in (beside, below))


def _are_apart(level: Sequence[Region], box: Region) -> bool:
    """Whether there are boxes that do not touch each other, as cells of a table do."""
    boxes = [one for one in level if min(_wide(one), _high(one)) > _MARK / 2 and _area(one) < 0.4 * _area(box)]
    return len(_apart(boxes[:_MOST_BOXES])) >= _FEWEST_BOXES


def _apart(boxes: Sequence[Region]) -> list[Region]:
    """Return those that touch no other."""
    touching = {n for a, b in combinations(range(len(boxes)), 2) if _gap(boxes[a], boxes[b]) <= _SAME for n in (a, b)}
    return [one for n, one in enumerate(boxes) if n not in touching]


def _labelled(box: Region, words: Sequence[Region]) -> Region:
    """Return the place of a drawing with the words by it, of which there may be a paragraph."""
    most = Region(box.page, box.x1 - _MOST_GROWTH, box.y1 - _MOST_GROWTH, box.x2 + _MOST_GROWTH, box.y2 + _MOST_GROWTH)
    for _ in range(_LABEL_ROUNDS):
        near = [one for one in words if _gap(box, one) <= _LABEL_GAP and _inside(most, one)]
        box = _around([box, *near])
    x1, y1, x2, y2 = box.x1 - _MARGIN, box.y1 - _MARGIN, box.x2 + _MARGIN, box.y2 + _MARGIN
    return Region(box.page, max(x1, 0.0), max(y1, 0.0), min(x2, 1_000.0), min(y2, 1_000.0))


def _clusters(regions: Sequence[Region]) -> list[list[int]]:
    """Group regions, by their numbers, so that in no group's box stands, or touches it, what is in another."""
    groups = [[n] for n in range(len(regions))]
    boxes = list(regions)
    while True:
        parts = _parts(boxes)
        together: dict[int, list[int]] = defaultdict(list)
        for n, box in enumerate(boxes):
            top, _, left, _ = _cells(box)
            together[parts[top * _ROW + left]].append(n)
        if len(together) == len(boxes):
            return groups
        groups = [[one for n in numbers for one in groups[n]] for numbers in together.values()]
        boxes = [_around([boxes[n] for n in numbers]) for numbers in together.values()]


def _cells(box: Region) -> tuple[int, int, int, int]:
    """Return the first row and the one after the last, and the columns, that a box takes up on a coarse page."""
    top, bottom, left, right = (max(0, min(_LAST, int(at / _CELL))) for at in (box.y1, box.y2, box.x1, box.x2))
    return top + 1, bottom + 2, left + 1, right + 2  # an empty cell goes all round


def _parts(boxes: Iterable[Region]) -> list[int]:
    """Number the connected parts of a coarse page on which boxes are painted, row by row; 0 is empty."""
    painted = bytearray(_ROW * _ROW)
    for box in boxes:
        top, bottom, left, right = _cells(box)
        for row in range(top, bottom):
            painted[row * _ROW + left : row * _ROW + right] = b"\1" * (right - left)
    parts, number = [0] * len(painted), 0
    start = painted.find(1)
    while start >= 0:
        number += 1
        painted[start], waiting = 0, [start]
        while waiting:
            cell = waiting.pop()
            parts[cell] = number
            for near in _NEIGHBOURS:
                if painted[cell + near]:
                    painted[cell + near] = 0
                    waiting.append(cell + near)
        start = painted.find(1, start)
    return parts


def _around(regions: Sequence[Region]) -> Region:
    return Region(
        regions[0].page,
        min(one.x1 for one in regions),
        min(one.y1 for one in regions),
        max(one.x2 for one in regions),
        max(one.y2 for one in regions),
    )


def _holds(box: Region, one: Region) -> bool:
    """Whether the middle of one stands in a box."""
    x, y = (one.x1 + one.x2) / 2, (one.y1 + one.y2) / 2
    return box.x1 <= x <= box.x2 and box.y1 <= y <= box.y2


def _inside(box: Region, one: Region) -> bool:
    return box.x1 <= one.x1 and box.y1 <= one.y1 and one.x2 <= box.x2 and one.y2 <= box.y2


def _gap(a: Region, b: Region) -> float:
    return max(b.x1 - a.x2, a.x1 - b.x2, b.y1 - a.y2, a.y1 - b.y2, 0.0)


def _bins(value: float) -> tuple[int, int]:
    """Return two numbers, of which values that are the same share at least one, and others none."""
    return 2 * int(value / (2 * _SAME)), 2 * int(value / (2 * _SAME) + 0.5) + 1


def _wide(one: Region) -> float:
    return one.x2 - one.x1


def _high(one: Region) -> float:
    return one.y2 - one.y1


def _area(one: Region) -> float:
    return _wide(one) * _high(one)

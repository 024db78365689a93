"""Ruled tables of a PDF's page: which words stand in which cell."""

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from retrieval.reading.pdf.letters import Letter
from retrieval.reading.pdf.objects import Box, objects_on

if TYPE_CHECKING:
    from pypdfium2 import PdfMatrix, PdfObject, PdfPage

_THIN = 3.0  # points
_NEAR = 3.0
_LEVEL = 0.5
_MAX_SEGMENTS = 500  # of one path; more is a drawing

_Word = tuple[str, list[int]]
"""Its letters and their numbers."""
Prose = Callable[[list[Letter]], tuple[str, Sequence[int]]]
"""Writes letters as text, and tells the order in which it has them."""


def edges_on(page: "PdfPage", most: int) -> list[Box] | None:
    """Return the boxes of a page's lines and rectangles; None where there are more than `most`.

    A path of several lines, as of a whole grid, counts line by line.
    """
    from pypdfium2.raw import FPDF_PAGEOBJ_PATH

    edges: list[Box] = []
    for thing, box, move in objects_on(page, [FPDF_PAGEOBJ_PATH]):
        edges += _lines_of(thing, move) or [box]
        if len(edges) > most:
            return None
    return edges


def _lines_of(path: "PdfObject", move: "PdfMatrix | None") -> list[Box]:
    """Return the boxes of a path's lines; none where it is but one figure, or has curves or slanting lines."""
    from pypdfium2.raw import (
        FPDF_SEGMENT_BEZIERTO,
        FPDF_SEGMENT_MOVETO,
        FPDFPath_CountSegments,
        FPDFPath_GetPathSegment,
        FPDFPathSegment_GetPoint,
        FPDFPathSegment_GetType,
    )

    count = FPDFPath_CountSegments(path)
    if not 5 < count <= _MAX_SEGMENTS:  # a rectangle has five at most
        return []
    matrix = path.get_matrix() if move is None else path.get_matrix().multiply(move)
    x, y = ctypes.c_float(), ctypes.c_float()
    found: list[Box] = []
    before = None
    moves = 0
    for n in range(count):
        segment = FPDFPath_GetPathSegment(path, n)
        kind = FPDFPathSegment_GetType(segment)
        if kind == FPDF_SEGMENT_BEZIERTO or not FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y)):
            return []
        point = matrix.on_point(x.value, y.value)
        if kind == FPDF_SEGMENT_MOVETO:
            moves += 1
        elif before is not None:
            (x1, y1), (x2, y2) = before, point
            if min(abs(x1 - x2), abs(y1 - y2)) > _LEVEL:
                return []
            found.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
        before = point
    return found if moves > 1 else []


def tabled(letters: list[Letter], edges: list[Box], prose: Prose) -> tuple[str, list[int]] | None:
    """Write each ruled table row by row, at the place of its first letter; None where there is no such table.

    Args:
        letters: Of the page, in its author's order.
        edges: The page's lines.
        prose: Writes what stands before, between and after the tables.
    """
    grids = [grid for grid in map(_Grid.of, _connected(edges)) if grid is not None]
    if not grids:
        return None
    parts: list[list[int] | _Grid] = [[]]
    for in_break, word in groupby(range(len(letters)), key=lambda n: not letters[n].sign.strip()):
        numbers = list(word)
        # A gap without a blank also parts words: two cells may touch.
        grid = None if in_break else next((grid for grid in grids if grid.holds([letters[n] for n in numbers])), None)
        if grid is not None:
            parts += [] if grid.words else [grid, []]
            grid.take([letters[n] for n in numbers], numbers)
        else:
            assert isinstance(parts[-1], list), "prose follows every table"
            parts[-1] += numbers
    if not any(grid.is_table() for grid in grids):
        return None
    written = []
    for part in parts:
        if isinstance(part, _Grid):
            written.append(part.written())
        elif any(letters[n].sign.strip() for n in part):
            text, order = prose([letters[n] for n in part])
            written.append((text, [part[place] for place in order]))
    text = re.sub(r"[ ]*[\r\n]\s*", "\n", re.sub(r"[ ]+", " ", "\n".join(text for text, _ in written))).strip()
    return text, [n for _, numbers in written for n in numbers]


@dataclass
class _Grid:
    """A ruled table."""

    xs: list[float]
    ys: list[float]
    """From the bottom."""
    words: list[tuple[float, float, _Word]]
    parted: int = 0
    """How many words lie across a line; where most do, the lines are a ground or a chart."""

    @classmethod
    def of(cls, edges: list[Box]) -> "_Grid | None":
        xs, ys = list[float](), list[float]()
        for left, bottom, right, top in edges:
            if right - left > _THIN:
                ys += [bottom, top]
            if top - bottom > _THIN:
                xs += [left, right]
        columns, rows = _distinct(xs), _distinct(ys)
        return cls(columns, rows, []) if len(columns) > 2 and len(rows) > 2 else None

    def holds(self, word: Sequence[Letter]) -> bool:
        x, y = _middle(word)
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

    def take(self, word: Sequence[Letter], numbers: list[int]) -> None:
        self.words.append((*_middle(word), ("".join(letter.sign for letter in word), numbers)))
        self.parted += any(word[0].left + _LEVEL < x < word[-1].right - _LEVEL for x in self.xs)

    def rows(self) -> list[list[list[_Word]]]:
        cells: dict[tuple[int, int], list[_Word]] = {}
        for x, y, word in self.words:
            place = (_slot(self.ys, y), _slot(self.xs, x))
            cells.setdefault(place, []).append(word)
        numbers = sorted({row for row, _ in cells}, reverse=True)
        # Ruled for looks alone, a column without a word would be nothing but bars.
        columns = sorted({column for _, column in cells})
        return [[cells.get((row, column), []) for column in columns] for row in numbers]

    def is_table(self) -> bool:
        if 2 * self.parted > len(self.words):
            return False
        return sum(sum(bool(cell) for cell in row) > 1 for row in self.rows()) > 1

    def written(self) -> _Word:
        if not self.is_table():
            words = [word for _, _, word in self.words]
            return " ".join(text for text, _ in words), [n for _, numbers in words for n in numbers]
        rows = self.rows()
        lines = (" | ".join(" ".join(text for text, _ in cell) for cell in row) for row in rows)
        text = "\n".join(line.rstrip(" |") for line in lines)
        return text, [n for row in rows for cell in row for _, numbers in cell for n in numbers]


def _middle(word: Sequence[Letter]) -> tuple[float, float]:
    return (word[0].left + word[-1].right) / 2, (word[0].bottom + word[0].top) / 2


def _slot(bounds: list[float], value: float) -> int:
    return max(0, min(len(bounds) - 2, sum(bound <= value for bound in bounds) - 1))


def _distinct(values: list[float]) -> list[float]:
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > _NEAR:
            found.append(value)
    return found


def _connected(edges: list[Box]) -> list[list[Box]]:
    """Group lines and boxes that touch each other."""
    groups: list[tuple[Box, list[Box]]] = []
    for edge in edges:
        box, members = edge, [edge]
        apart = []
        for other, others in groups:
            if _touch(box, other):
                members = [*others, *members]
                box = (min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3]))
            else:
                apart.append((other, others))
        groups = [*apart, (box, members)]
    return [members for _, members in groups if len(members) > 1]


def _touch(a: Box, b: Box) -> bool:
    return a[0] <= b[2] + _NEAR and b[0] <= a[2] + _NEAR and a[1] <= b[3] + _NEAR and b[1] <= a[3] + _NEAR

"""Ruled tables of a PDF's page: which words stand in which cell."""

import ctypes
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from retrieval.reading.pdf.letters import Letter
from retrieval.reading.pdf.objects import Box, objects_on

if TYPE_CHECKING:
    from pypdfium2 import PdfMatrix, PdfObject, PdfPage

_THIN = 3.0  # points
_NEAR = 3.0
_MAX_SEGMENTS = 500  # of one path; more is a drawing

_Word = tuple[str, list[int]]
"""Its letters and their numbers."""


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
    """Return the boxes of a path's straight lines, none where it is but one figure or has curves."""
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
            found.append((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
        before = point
    return found if moves > 1 else []


def tabled(letters: list[Letter], edges: list[Box]) -> tuple[str, list[int]] | None:
    """Write each ruled table row by row, at the place of its first letter; None where there is no such table."""
    grids = [grid for grid in map(_Grid.of, _connected(edges)) if grid is not None]
    if not grids:
        return None
    parts: list[_Word | _Grid] = []
    for in_break, word in groupby(range(len(letters)), key=lambda n: not letters[n].sign.strip()):
        numbers = list(word)
        signs = [letters[n] for n in numbers]
        text = "".join(letter.sign for letter in signs)
        if in_break:
            parts.append(("\n" if "\n" in text or "\r" in text else " ", []))
            continue
        # A gap without a blank also parts words: two cells may touch.
        x, y = (signs[0].left + signs[-1].right) / 2, (signs[0].bottom + signs[0].top) / 2
        grid = next((grid for grid in grids if grid.holds(x, y)), None)
        if grid is None:
            parts.append((text, numbers))
        else:
            if not grid.words:
                parts += [("\n", []), grid, ("\n", [])]
            grid.words.append((x, y, (text, numbers)))
    if not any(grid.is_table() for grid in grids):
        return None
    written = [part.written() if isinstance(part, _Grid) else part for part in parts]
    text = re.sub(r"[ ]*\n\s*\n*", "\n", re.sub(r"[ ]+", " ", "".join(text for text, _ in written))).strip()
    return text, [n for _, numbers in written for n in numbers]


@dataclass
class _Grid:
    """A ruled table."""

    xs: list[float]
    ys: list[float]
    """From the bottom."""
    words: list[tuple[float, float, _Word]]

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

    def holds(self, x: float, y: float) -> bool:
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

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
        return sum(sum(bool(cell) for cell in row) > 1 for row in self.rows()) > 1

    def written(self) -> _Word:
        if not self.is_table():
            words = [word for _, _, word in self.words]
            return " ".join(text for text, _ in words), [n for _, numbers in words for n in numbers]
        rows = self.rows()
        lines = (" | ".join(" ".join(text for text, _ in cell) for cell in row) for row in rows)
        text = "\n".join(line.rstrip(" |") for line in lines)
        return text, [n for row in rows for cell in row for _, numbers in cell for n in numbers]


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

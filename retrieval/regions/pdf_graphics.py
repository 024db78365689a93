"""What a PDF's page shows besides its letters: pictures, and the lines and shapes that are drawn on it.

It says where they are and how they look, and decides nothing.
"""

import ctypes
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.reading.pdf.objects import objects_on
from retrieval.records import Region
from retrieval.regions.pdf_pages import opened, placing

if TYPE_CHECKING:
    from pypdfium2 import PdfMatrix, PdfObject

MOST_SHAPES = 2_000
MOST_PATHS = 5_000
"""Of a page that are looked at one by one."""
MOST_POINTS, MOST_POINTS_OF_A_PATH = 50_000, 500
_WHITE = 250  # of 255
_LEVEL = 0.02  # height by length, below which a line is level
_SHORT = 0.5  # points
_MUCH = 0.3  # an area under a curve has its upright sides and its ground line, too
_BEZIER, _MOVE = 1, 2  # PDFium's FPDF_SEGMENT_...


@dataclass(frozen=True)
class DrawnPath:
    """A line, a shape, or several that are drawn at once."""

    region: Region
    slanted: bool
    """Whether much of its length lies neither level nor upright, as in curves, and not in frames with round corners."""
    solid: bool
    """Whether it is filled, and not with white."""


def graphics_on(path: Path | bytes, number: int) -> tuple[list[Region], list[Region]]:
    """Return where page `number` has pictures, and where lines and boxes, of each at most `MOST_SHAPES`.

    Raises:
        PageUnreadable: There is none to be had.
    """
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_PATH

    with opened(path, number) as (_, page):
        place = placing(page, number)
        found: tuple[list[Region], list[Region]] = ([], [])
        for kind, regions in zip((FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_PATH), found, strict=True):
            for _, box, _ in islice(objects_on(page, [kind]), MOST_SHAPES):
                if (region := place(box)) is not None:
                    regions.append(region)
        return found


def paths_on(path: Path | bytes, number: int) -> list[DrawnPath]:
    """Return what is drawn on page `number`, at most `MOST_PATHS`; what is only filled with white is left out.

    Raises:
        PageUnreadable: There is none to be had.
    """
    from pypdfium2.raw import FPDF_PAGEOBJ_PATH

    with opened(path, number) as (_, page):
        place, left, found = placing(page, number), MOST_POINTS, list[DrawnPath]()
        for thing, box, move in islice(objects_on(page, [FPDF_PAGEOBJ_PATH]), MOST_PATHS):
            solid, stroked = _look(thing)
            region = place(box) if solid or stroked else None
            if region is None:
                continue
            points = _points(thing, move, min(left, MOST_POINTS_OF_A_PATH))
            left -= len(points)
            found.append(DrawnPath(region, _is_slanted(points), solid))
        return found


def _look(thing: "PdfObject") -> tuple[bool, bool]:
    """Return whether a path is filled with a colour, and whether it has a line."""
    from pypdfium2.raw import FPDFPageObj_GetFillColor, FPDFPath_GetDrawMode

    mode, stroke = ctypes.c_int(), ctypes.c_int()
    if not FPDFPath_GetDrawMode(thing, mode, stroke):
        return False, True
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    # A pattern has no colour of its own.
    known = mode.value and FPDFPageObj_GetFillColor(thing, red, green, blue, alpha)
    white = known and (alpha.value == 0 or min(red.value, green.value, blue.value) >= _WHITE)
    return bool(mode.value and not white), bool(stroke.value)


def _points(thing: "PdfObject", move: "PdfMatrix | None", most: int) -> list[tuple[bool, float, float]]:
    """Return the points of a path on the page, and whether a line ends there; of a curve its end."""
    from pypdfium2.raw import (
        FPDFPath_CountSegments,
        FPDFPath_GetPathSegment,
        FPDFPathSegment_GetPoint,
        FPDFPathSegment_GetType,
    )

    matrix = thing.get_matrix()
    matrix = matrix if move is None else matrix.multiply(move)
    x, y, curve, found = ctypes.c_float(), ctypes.c_float(), 0, list[tuple[bool, float, float]]()
    for number in range(min(FPDFPath_CountSegments(thing), most)):
        segment: Any = FPDFPath_GetPathSegment(thing, number)
        kind = FPDFPathSegment_GetType(segment)
        curve = curve + 1 if kind == _BEZIER else 0
        if curve % 3 == 0 and FPDFPathSegment_GetPoint(segment, x, y):
            found.append((kind != _MOVE, *matrix.on_point(x.value, y.value)))
    return found


def _is_slanted(points: list[tuple[bool, float, float]]) -> bool:
    slanted = whole = 0.0
    for (_, x1, y1), (is_line, x2, y2) in pairwise(points):
        wide, high = abs(x2 - x1), abs(y2 - y1)
        if is_line:
            whole += wide + high
            if min(wide, high) >= _SHORT and min(wide, high) >= _LEVEL * max(wide, high):
                slanted += wide + high
    return slanted > _MUCH * whole

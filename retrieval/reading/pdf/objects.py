"""Pictures and paths of a PDF's page where they stand on it, those inside of forms included. It draws nothing.

PDFium tells where an object stands in its form, and charts that were put into a document are such forms.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfMatrix, PdfObject, PdfPage

MOST_VISITED = 100_000
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points of the unturned page."""


def objects_on(page: "PdfPage", kinds: Sequence[int]) -> "Iterator[tuple[PdfObject, Box, PdfMatrix | None]]":
    """Yield the first `MOST_VISITED` objects of these kinds, each with its box and with what moves it on the page.

    That is the matrix of the forms that an object lies in; None where it lies in none.
    """
    moves: dict[int, tuple[PdfObject, PdfMatrix]] = {}
    for thing in islice(page.get_objects(list(kinds)), MOST_VISITED):
        box: Box = thing.get_bounds()
        move = _move(thing.container, moves) if thing.container is not None else None
        yield thing, box if move is None else move.on_rect(*box), move


def _move(form: "PdfObject", moves: "dict[int, tuple[PdfObject, PdfMatrix]]") -> "PdfMatrix":
    """Return what takes a form's points to the page; `moves` holds the forms too, so that no other gets their id."""
    if id(form) not in moves:
        matrix = form.get_matrix()
        outer = _move(form.container, moves) if form.container is not None else None
        moves[id(form)] = form, matrix if outer is None else matrix.multiply(outer)
    return moves[id(form)][1]


def turned(box: Box, degrees: int) -> Box:
    """Return where a box stands when the page is turned clockwise, by 0, 90, 180 or 270 degrees around its origin."""
    left, bottom, right, top = box
    match degrees:
        case 90:
            return bottom, -right, top, -left
        case 180:
            return -right, -top, -left, -bottom
        case 270:
            return -top, left, -bottom, right
        case _:
            return box

"""Letters of a PDF's pages where they stand on the page as it is shown, and pictures of pages. It runs no OCR.

The file is opened by its path and only the pages that are asked for are parsed.
"""

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from common.pdfium_lock import pdfium
from retrieval.reading.pdf.annotations import annotations
from retrieval.reading.pdf.objects import Box
from retrieval.reading.pdf.page import page_letters, page_words
from retrieval.records import Line, Region
from retrieval.regions.letters import Letter

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfDocument, PdfPage

LONGER_SIDE = 1_600
"""Pixels of a page's picture: body text stays legible on a page of A4."""
SMALLEST_POINTS = 0.01
_FINE = 1_000_000  # to which PDFium maps a page, for its whole numbers to be exact enough
_THOUSANDTHS = 1_000.0


class PageUnreadable(Exception):
    """There is no such page, or it is damaged or locked; the text says which."""


def letters_on(path: Path, number: int) -> list[Letter]:
    """Return the letters of page `number`, from 1, in the order of its text, those of forms and notes last.

    What lies outside of what is shown is left out.

    Raises:
        PageUnreadable: There is none to be had.
    """
    with opened(path, number) as (document, page):
        place = placing(page, number)
        found = [Letter(sign, region) for sign, box in page_letters(page) if (region := place(box)) is not None]
        for line, box in annotations(document, page):
            region = place(box)
            if region is not None:
                found += [Letter(sign, region) for sign in line if sign.strip()]
        return found


def words_on(file: Path | bytes, number: int) -> list[Line]:
    """Return the words of page `number`, from 1, each with its place; values of forms and notes as lines, last.

    Raises:
        PageUnreadable: There is none to be had.
    """
    with opened(file, number) as (document, page):
        place = placing(page, number)
        found = [*page_words(page), *annotations(document, page)]
        return [Line(text, region) for text, box in found if (region := place(box)) is not None]


def draw_page(path: Path | bytes, number: int, *, longer_side: int = LONGER_SIDE) -> "Image.Image":
    """Return a picture of page `number`, from 1, with what is filled into its forms; RGB.

    Raises:
        PageUnreadable: There is none to be had.
    """
    with opened(path, number) as (_, page):
        longer = max(page.get_width(), page.get_height())
        if longer < SMALLEST_POINTS or not math.isfinite(longer):
            raise PageUnreadable("it has no size")
        image: Image.Image = page.render(scale=longer_side / longer, may_draw_forms=True).to_pil().convert("RGB")
        return image.copy()  # the bitmap's memory goes with the page


def count_pages(path: Path | bytes) -> int:
    """Return how many pages a file has.

    Raises:
        PageUnreadable: It is damaged or locked.
    """
    with _document(path) as document:
        return len(document)


@contextmanager
def _document(path: Path | bytes) -> "Iterator[PdfDocument]":
    import pypdfium2

    with pdfium:
        try:
            document = pypdfium2.PdfDocument(path)
        except (pypdfium2.PdfiumError, OSError) as error:
            raise PageUnreadable("it wants a password" if "password" in str(error).lower() else str(error)) from None
        try:
            document.init_forms()
            yield document
        finally:
            document.close()


@contextmanager
def opened(path: Path | bytes, number: int) -> "Iterator[tuple[PdfDocument, PdfPage]]":
    """Open page `number`, from 1, of a file, under PDFium's lock.

    Raises:
        PageUnreadable: There is none to be had, or what is done with it failed.
    """
    import pypdfium2

    with _document(path) as document:
        if not 1 <= number <= len(document):
            raise PageUnreadable(f"it has {len(document):,} pages")
        try:
            page = document[number - 1]
            try:
                yield document, page
            finally:
                page.close()
        except (pypdfium2.PdfiumError, MemoryError, ValueError) as error:
            raise PageUnreadable(f"the page is damaged ({type(error).__name__})") from None


def placing(page: "PdfPage", number: int) -> "Callable[[Box], Region | None]":
    """Return what maps a box of the file to the page as it is shown; rotation and crop box are PDFium's to apply."""
    from pypdfium2.raw import FPDF_PageToDevice

    x, y = ctypes.c_int(), ctypes.c_int()

    def shown(left: float, bottom: float) -> tuple[float, float]:
        FPDF_PageToDevice(page, 0, 0, _FINE, _FINE, 0, left, bottom, ctypes.byref(x), ctypes.byref(y))
        return x.value * _THOUSANDTHS / _FINE, y.value * _THOUSANDTHS / _FINE

    # The mapping is affine: three points far apart give it.
    left, bottom, right, top = page.get_bbox()
    width, height = max(right - left, 1.0), max(top - bottom, 1.0)
    x0, y0 = shown(left, bottom)
    x1, y1 = shown(left + width, bottom)
    x2, y2 = shown(left, bottom + height)

    def point(px: float, py: float) -> tuple[float, float]:
        u, v = (px - left) / width, (py - bottom) / height
        return x0 + u * (x1 - x0) + v * (x2 - x0), y0 + u * (y1 - y0) + v * (y2 - y0)

    def place(box: Box) -> Region | None:
        ax, ay = point(box[0], box[1])
        bx, by = point(box[2], box[3])
        return region_of(number, min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))

    return place


def region_of(page: int, x1: float, y1: float, x2: float, y2: float) -> Region | None:
    """Return the part of a rectangle that lies on the page, rounded to tenths; None where nothing does."""
    if not all(map(math.isfinite, (x1, y1, x2, y2))) or x2 <= 0 or y2 <= 0 or x1 >= _THOUSANDTHS or y1 >= _THOUSANDTHS:
        return None
    left, top = round(max(x1, 0.0), 1), round(max(y1, 0.0), 1)
    right, bottom = round(min(x2, _THOUSANDTHS), 1), round(min(y2, _THOUSANDTHS), 1)
    return Region(page, left, top, max(right, left), max(bottom, top))

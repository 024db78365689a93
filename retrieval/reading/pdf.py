"""Reads a PDF page by page: its own text, or what OCR sees where a page is only a picture.

Every page keeps its span of the text; what could not be read is a note, not a gap. It knows no layout or tables.
"""

import math
import re
from typing import TYPE_CHECKING

from common.pdfium_lock import pdfium as _pdfium
from retrieval.reading.ocr import lines_to_text, read_picture
from retrieval.reading.unreadable import Broken, Empty, Encrypted
from retrieval.records import Document, Page

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfDocument

_PAGE_BREAK = "\n\f"
# A scan may carry a stamped page number as its only text.
_SCAN_CHARS = 20
_DPI = 150
_POINTS_PER_INCH = 72
_FPDF_ERR_PASSWORD = 4
_NAMED_PAGES = 10
# What programs write when nobody gave one.
_NO_TITLES = ("untitled", "(anonymous)", "unspecified")
# PDFium writes this for the hyphen of a word that goes on in the next line.
_SOFT_HYPHEN = re.compile("\ufffe\r?\n?")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

# PDFium keeps state for the whole process: every call of it happens under this lock, closing included.


def read_pdf(data: bytes, *, max_pages: int, max_ocr_pages: int, max_pixels: int) -> Document:
    """Read a PDF.

    Args:
        data: The whole file.
        max_pages: Pages after this one are a note.
        max_ocr_pages: Pictures after this many pages read by OCR are a note.
        max_pixels: Largest picture that a page is drawn to; larger pages are drawn smaller.

    Raises:
        Broken: It is no PDF that can be opened.
        Empty: No page has a word.
        Encrypted: It wants a password.
    """
    import pypdfium2

    pdf = _open(data)
    parts: list[str] = []
    pages: list[Page] = []
    broken: list[int] = []
    unseen: list[int] = []
    position = scans = 0
    try:
        with _pdfium:
            count = len(pdf)
            title = _clean(pdf.get_metadata_value("Title")).strip()
            title = "" if title.lower() in _NO_TITLES else title
        for number in range(1, min(count, max_pages) + 1):
            text, ocr = "", False
            try:
                text, is_scan = _own_text(pdf, number - 1)
                if is_scan and scans < max_ocr_pages:
                    scans += 1
                    seen = lines_to_text(read_picture(_draw(pdf, number - 1, max_pixels)))
                    if len(seen) > len(text):
                        text, ocr = seen, True
                elif is_scan:
                    unseen.append(number)
            except pypdfium2.PdfiumError:
                broken.append(number)
            pages.append(Page(number, position, position + len(text), ocr))
            parts.append(text)
            position += len(text) + len(_PAGE_BREAK)
    finally:
        with _pdfium:
            pdf.close()
    whole = _PAGE_BREAK.join(parts)
    if not re.search(r"\w", whole):
        raise Empty(f"none of its {count:,} pages has any that could be read")
    notes = []
    if broken:
        notes.append(f"{_name(broken)} could not be read: damaged")
    if unseen:
        notes.append(f"{_name(unseen)} could not be read: scanned, after the limit of {max_ocr_pages:,} scanned pages")
    if count > max_pages:
        notes.append(f"pages {max_pages + 1:,} to {count:,} were not read: after the limit of {max_pages:,} pages")
    return Document(whole, "pdf", tuple(pages), title=title, notes=tuple(notes))


def _open(data: bytes) -> "PdfDocument":
    import pypdfium2

    try:
        with _pdfium:
            return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _FPDF_ERR_PASSWORD:
            raise Encrypted from None
        raise Broken("PDF", str(error)) from None


def _own_text(pdf: "PdfDocument", index: int) -> tuple[str, bool]:
    """Return a page's text layer, and whether the page is a picture with hardly any."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    with _pdfium:
        page = pdf[index]
        try:
            textpage = page.get_textpage()
            try:
                text = _clean(textpage.get_text_range()).strip()
            finally:
                textpage.close()
            is_scan = len(text) < _SCAN_CHARS and any(True for _ in page.get_objects([FPDF_PAGEOBJ_IMAGE]))
        finally:
            page.close()
    return text, is_scan


def _draw(pdf: "PdfDocument", index: int, max_pixels: int) -> "Image.Image":
    with _pdfium:
        page = pdf[index]
        try:
            width, height = page.get_size()  # points
            scale = min(_DPI / _POINTS_PER_INCH, math.sqrt(max_pixels / max(1.0, width * height)))
            bitmap = page.render(scale=scale)
            try:
                # A copy, because the bitmap's memory goes with it.
                return bitmap.to_pil().convert("RGB").copy()
            finally:
                bitmap.close()
        finally:
            page.close()


def _clean(text: str) -> str:
    """Undo line-end hyphens, and drop what is no character; a lone surrogate cannot even be stored."""
    return _UNWANTED.sub("", _SOFT_HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def _name(pages: list[int]) -> str:
    named = ", ".join(str(page) for page in pages[:_NAMED_PAGES])
    more = f" and {len(pages) - _NAMED_PAGES:,} more" if len(pages) > _NAMED_PAGES else ""
    return f"page{'s' if len(pages) > 1 else ''} {named}{more}"

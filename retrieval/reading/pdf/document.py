"""Reads a PDF page by page: its own text, what is filled in, and what OCR sees where that is not all.

Every page keeps its span of the text; what could not be read is a note, not a gap. The layout is `page`'s.
"""

import math
import re
from typing import TYPE_CHECKING

from common.pdfium_lock import pdfium as _pdfium
from retrieval.reading.ocr import Reading, lines_to_text, look_at
from retrieval.reading.ocr_places import placed
from retrieval.reading.pdf.annotations import annotations
from retrieval.reading.pdf.hyphens import join_lines
from retrieval.reading.pdf.objects import objects_on
from retrieval.reading.pdf.page import page_text
from retrieval.reading.pdf.plausible import PLAUSIBLE, plausibility
from retrieval.reading.unreadable import Broken, Empty, Encrypted
from retrieval.records import Document, Line, Page

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfDocument, PdfPage

_PAGE_BREAK = "\n\f"
# A picture that covers this share of a page may hold words of its own...
_LARGE = 0.08
# ... unless so many letters of the text layer lie on it: then it is a scan that was read already, or a ground.
_READ_ALREADY = 80
_MIN_OUTLINES = 200
_WORDS = re.compile(r"\w+")
_DPI = 150
_POINTS_PER_INCH = 72
_FPDF_ERR_PASSWORD = 4
_NAMED_PAGES = 10
# What programs write when nobody gave one.
_NO_TITLES = ("untitled", "(anonymous)", "unspecified")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\uffff]")

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
    seen = _Seen(max_ocr_pages, max_pixels)
    broken: list[int] = []
    try:
        with _pdfium:
            count = len(pdf)
            title = _clean(pdf.get_metadata_value("Title")).strip()
            title = "" if title.lower() in _NO_TITLES else title
            attached = _attached(pdf)
        for number in range(1, min(count, max_pages) + 1):
            text, ocr = "", False
            try:
                text, ocr = seen.page(pdf, number)
            except pypdfium2.PdfiumError:
                broken.append(number)
            parts.append(text)
            pages.append(Page(number, 0, 0, ocr))
    finally:
        with _pdfium:
            pdf.close()
    parts = join_lines(parts)
    position = 0
    for n, (part, page) in enumerate(zip(parts, pages, strict=True)):
        pages[n] = Page(page.number, position, position + len(part), page.ocr)
        position += len(part) + len(_PAGE_BREAK)
    whole = _PAGE_BREAK.join(parts)
    if not re.search(r"\w", whole):
        raise Empty(f"none of its {count:,} pages has any that could be read")
    notes = [] if not broken else [f"{_name(broken)} could not be read: damaged"]
    notes += seen.notes()
    if count > max_pages:
        notes.append(f"pages {max_pages + 1:,} to {count:,} were not read: after the limit of {max_pages:,} pages")
    if attached:
        notes.append(f"attached and not read: {', '.join(attached)}; save them as files of their own")
    return Document(whole, "pdf", tuple(pages), title=title, notes=tuple(notes), lines=tuple(seen.lines))


class _Seen:
    """Reads pages, and remembers which of them OCR read, and which it could not."""

    def __init__(self, max_ocr_pages: int, max_pixels: int) -> None:
        self._max_ocr_pages, self._max_pixels = max_ocr_pages, max_pixels
        self._scans = 0
        self._broken_layer: list[int] = []
        self._unseen: list[int] = []
        self._doubtful: list[int] = []
        self._turned: list[int] = []
        self.lines: list[Line] = []

    def page(self, pdf: "PdfDocument", number: int) -> tuple[str, bool]:
        """Return a page's text, and whether its words were read from its picture."""
        text, beside, pictured = _own_text(pdf, number - 1)
        own = plausibility(text)
        broken = bool(text) and own < PLAUSIBLE
        ocr = False
        if not (broken or pictured):
            return "\n".join(filter(None, (text, *beside))), False
        if self._scans >= self._max_ocr_pages:
            self._unseen.append(number)
        else:
            self._scans += 1
            picture = _draw(pdf, number - 1, self._max_pixels)
            reading = look_at(picture)
            text, ocr = self._better(number, text, own, reading)
            self.lines += placed(reading, picture.size, number) if ocr else []
        return "\n".join(filter(None, (text, *beside))), ocr

    def _better(self, number: int, text: str, own: float, reading: Reading) -> tuple[str, bool]:
        shown = lines_to_text(reading.lines)
        if reading.turned:
            self._turned.append(number)
        if reading.notes:
            self._doubtful.append(number)
        if own < PLAUSIBLE:
            if shown and plausibility(shown) > own:
                if text:
                    self._broken_layer.append(number)
                return shown, True
            if text:
                self._doubtful.append(number)
            return text, False
        # Both are right: the words that only the picture has follow those of the text layer.
        known = {word.lower() for word in _WORDS.findall(text)}
        new = [line for line in shown.split("\n") if _is_new(line, known)]
        if not new:
            return text, False
        whole = {word.lower() for word in _WORDS.findall(shown)}
        if known and known <= whole:
            return shown, True
        return f"{text}\n" + "\n".join(new), True

    def notes(self) -> list[str]:
        """Say what was done and what was not."""
        notes = []
        if self._broken_layer:
            notes.append(f"{_name(self._broken_layer)}: the text layer makes no sense, read by OCR instead")
        if self._unseen:
            notes.append(
                f"{_name(self._unseen)} could not be read: scanned, after the limit of {self._max_ocr_pages:,} scanned "
                "pages"
            )
        if self._turned:
            notes.append(f"{_name(self._turned)}: turned before OCR")
        if self._doubtful:
            notes.append(f"{_name(sorted(set(self._doubtful)))}: some words could not be read")
        return notes


def _is_new(line: str, known: set[str]) -> bool:
    words = [word.lower() for word in _WORDS.findall(line)]
    return bool(words) and sum(word in known for word in words) <= len(words) / 2


def _attached(pdf: "PdfDocument") -> list[str]:
    return [pdf.get_attachment(n).get_name() or "a file" for n in range(pdf.count_attachments())]


def _open(data: bytes) -> "PdfDocument":
    import pypdfium2

    try:
        with _pdfium:
            pdf = pypdfium2.PdfDocument(data)
            # Without it the values of a form's fields are not to be had; PDFium is built without scripts.
            pdf.init_forms()
            return pdf
    except pypdfium2.PdfiumError as error:
        if error.err_code == _FPDF_ERR_PASSWORD:
            raise Encrypted from None
        raise Broken("PDF", str(error)) from None


def _own_text(pdf: "PdfDocument", index: int) -> tuple[str, list[str], bool]:
    """Return a page's text layer, what is filled in and noted on it, and whether it shows what that cannot say."""
    with _pdfium:
        page = pdf[index]
        try:
            pictured = _is_pictured(page)
            beside = [_clean(line) for line, _ in annotations(pdf, page)]
            text = _clean(page_text(page)).strip()
        finally:
            page.close()
    return text, beside, pictured or (not text and _is_drawn(pdf, index))


def _is_pictured(page: "PdfPage") -> bool:
    """Return whether a page has a large picture that its text layer does not lie on."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    left, bottom, right, top = page.get_bbox()
    area = max(1.0, (right - left) * (top - bottom))
    for _, (x1, y1, x2, y2), _ in objects_on(page, [FPDF_PAGEOBJ_IMAGE]):
        x1, y1, x2, y2 = max(x1, left), max(y1, bottom), min(x2, right), min(y2, top)
        if (x2 - x1) > 0 and (y2 - y1) > 0 and (x2 - x1) * (y2 - y1) > _LARGE * area:
            textpage = page.get_textpage()
            try:
                inside = textpage.get_text_bounded(x1, y1, x2, y2)
            finally:
                textpage.close()
            if len("".join(inside.split())) < _READ_ALREADY:
                return True
    return False


def _is_drawn(pdf: "PdfDocument", index: int) -> bool:
    """Return whether a page without text is full of outlines, which may be letters."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_PATH

    with _pdfium:
        page = pdf[index]
        try:
            if any(True for _ in page.get_objects([FPDF_PAGEOBJ_IMAGE])):
                return True
            outlines = page.get_objects([FPDF_PAGEOBJ_PATH])
            return sum(1 for _ in zip(outlines, range(_MIN_OUTLINES), strict=False)) >= _MIN_OUTLINES
        finally:
            page.close()


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
    """Drop what is no character; a lone surrogate cannot even be stored. U+FFFE is PDFium's hyphen at a line's end."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _name(pages: list[int]) -> str:
    named = ", ".join(str(page) for page in pages[:_NAMED_PAGES])
    more = f" and {len(pages) - _NAMED_PAGES:,} more" if len(pages) > _NAMED_PAGES else ""
    return f"page{'s' if len(pages) > 1 else ''} {named}{more}"

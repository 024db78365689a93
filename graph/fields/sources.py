"""The sheets in which values are looked for: of the question's pictures and pages, and of the documents' passages.

A page of a PDF gives its own words; a picture, and what is a picture on such a page, those that OCR reads.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from graph.answer import Passage
from graph.fields.sheet import Sheet, sheet_of_lines, sheet_of_text
from model.pictures.kinds import HEAD_BYTES, kind_of
from model.pictures.picture import Picture
from retrieval.records import Line, Region

logger = logging.getLogger(__name__)

NO_OCR = "fields: values from pictures are unproven, OCR cannot be used here ({reason})"
NO_TIME = "fields: values from pictures are unproven, no time was left to read them by OCR"
CHANGED = "fields: {name} has changed since it was looked at, its values are unproven"
MOST_FILE_BYTES = 256 * 2**20
LARGE = 20_000.0
"""Square thousandths: a picture on a page that is smaller is a logo, and not read."""
PageWords = Callable[[Passage], Sequence[Line]]
"""Gives the words of a passage's page; none where nobody knows where they stand."""


def passage_sheets(passages: Sequence[Passage], words: PageWords) -> list[Sheet]:
    """Return a sheet for each page that passages stand on, and for each passage that stands on none."""
    found: dict[tuple[str, int | str], Sheet] = {}
    for passage in passages:
        lines = words(passage)
        key = (passage.source, (passage.page or 1) if lines else passage.id)
        if key in found:
            continue
        if lines:
            found[key] = sheet_of_lines(passage.source, passage.page or 1, lines)
        else:
            found[key] = sheet_of_text(passage.source, passage.page, passage.text)
    return list(found.values())


def page_sheets(pictures: Sequence[Picture], notes: list[str]) -> tuple[list[Sheet], list[Picture]]:
    """Return the words that pages of PDFs have of their own, and the pictures in which OCR may find more."""
    sheets, left = list[Sheet](), list[Picture]()
    for picture in pictures:
        sheet, shows_more = _page_words(picture, notes)
        if sheet is not None:
            sheets.append(sheet)
        if shows_more:
            left.append(picture)
    return sheets, left


def ocr_sheets(pictures: Sequence[Picture], is_late: Callable[[], bool], notes: list[str]) -> Iterator[Sheet]:
    """Yield what OCR reads in pictures, seconds for each; `notes` say, once, why it does not."""
    for picture in pictures:
        if is_late():
            notes.append(NO_TIME)
            return
        try:
            from retrieval.reading.ocr import look_at
            from retrieval.reading.ocr_places import placed

            read = look_at(picture.image)
        except Exception as error:  # an optional engine: whatever it lacks, the answer stands without its proof
            logger.info("OCR failed", exc_info=True)
            notes.append(NO_OCR.format(reason=type(error).__name__))
            return
        page = picture.part.pages[0] if picture.part.pages else None
        lines = [_in_whole(line, picture, page or 1) for line in placed(read, picture.image.size, page or 1)]
        yield sheet_of_lines(picture.source, page, lines)


def _page_words(picture: Picture, notes: list[str]) -> tuple[Sheet | None, bool]:
    """Return the words that the file itself has at this page, and whether OCR may find more."""
    from retrieval.regions.pdf_graphics import graphics_on
    from retrieval.regions.pdf_pages import PageUnreadable, words_on

    data = _bytes_of(picture)
    if data is None or kind_of(data[:HEAD_BYTES]) != "pdf":
        return None, True
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        notes.append(CHANGED.format(name=Path(picture.source).name))
        return None, False
    page = picture.part.pages[0] if picture.part.pages else 1
    try:
        lines = [line for line in words_on(data, page) if _is_inside(line.region, picture)]
        pictures, _ = graphics_on(data, page)
    except PageUnreadable:
        return None, True
    large = any((one.x2 - one.x1) * (one.y2 - one.y1) >= LARGE for one in pictures)
    return sheet_of_lines(picture.source, page, lines) if lines else None, large or not lines


def _in_whole(line: Line, picture: Picture, page: int) -> Line:
    """Return a line of what was looked at as one of the whole picture."""
    (width, height), (left, top, right, bottom) = picture.size, picture.place
    one, wide, high = line.region, (right - left) / width, (bottom - top) / height
    x, y = 1_000 * left / width, 1_000 * top / height
    numbers = (x + one.x1 * wide, y + one.y1 * high, x + one.x2 * wide, y + one.y2 * high)
    return replace(line, region=Region(page, *(round(number, 1) for number in numbers)))


def _is_inside(region: Region, picture: Picture) -> bool:
    (width, height), (left, top, right, bottom) = picture.size, picture.place
    x, y = (region.x1 + region.x2) / 2 * width / 1_000, (region.y1 + region.y2) / 2 * height / 1_000
    return left <= x <= right and top <= y <= bottom


def _bytes_of(picture: Picture) -> bytes | None:
    """Return a document's bytes; None for what is no PDF, or cannot be read any more."""
    if picture.data is not None or picture.path is None:
        return picture.data
    try:
        with picture.path.open("rb") as file:
            if kind_of(file.read(HEAD_BYTES)) != "pdf":
                return None
            file.seek(0)
            return file.read(MOST_FILE_BYTES)
    except OSError:
        return None

"""Finds the figures inside a document: its pictures of a certain size, each as it is seen. It describes none.

Logos, lines and what covers a whole page, as scans and grounds do, are no figures; the same picture counts once. Of
what a PDF draws of lines, `drawings` says which is a figure.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.reading.documents import ReadLimits
from retrieval.reading.formats.archive import DAMAGE, LOST, check_archive
from retrieval.reading.formats.epub import book_pictures
from retrieval.reading.kept_figures import Figure
from retrieval.reading.pictures import open_picture
from retrieval.reading.unreadable import Unreadable
from retrieval.records import MediaType, Region
from retrieval.regions.drawings import drawings_among
from retrieval.regions.page_view import LARGE
from retrieval.regions.pdf_graphics import graphics_on, paths_on
from retrieval.regions.pdf_pages import PageUnreadable, count_pages, draw_page, words_on

if TYPE_CHECKING:
    from PIL import Image

MOST = 60
"""Figures of a document."""
MOST_PAGES = 300
SMALLEST_SIDE, SMALLEST_PIXELS = 100, 30_000
_WHOLE = 850_000.0  # square thousandths
_TOUCHING = 5.0
_PAGE_SIDE = 1_600
_MEDIA = re.compile(r"(?:word/media|Pictures)/[^/]+")


def figures_in(data: bytes, media_type: MediaType) -> Iterator[Figure]:
    """Yield the figures of a document in its order, at most `MOST`.

    What cannot be opened is left out: the reading of the document has said so.
    """
    found = {"pdf": _of_pdf, "slides": _of_slides, "book": _of_book}.get(media_type, _of_archive)
    seen: set[str] = set()
    for figure in found(data):
        if figure.sha256 not in seen:
            seen.add(figure.sha256)
            yield figure
        if len(seen) == MOST:
            return


def drawings_on(file: Path | bytes, number: int) -> list[Region]:
    """Return where page `number` of a PDF has charts and diagrams that are drawn of lines.

    Raises:
        PageUnreadable: There is none to be had.
    """
    return drawings_among(paths_on(file, number), lambda: [word.region for word in words_on(file, number)])


def _of_pdf(data: bytes) -> Iterator[Figure]:
    try:
        count = min(count_pages(data), MOST_PAGES)
    except PageUnreadable:
        return
    for number in range(1, count + 1):
        try:
            regions = _joined([*graphics_on(data, number)[0], *drawings_on(data, number)])
            page = draw_page(data, number, longer_side=_PAGE_SIDE) if regions else None
        except PageUnreadable:
            continue
        if page is None:
            continue
        for region in regions:
            wide, high = page.width / 1_000, page.height / 1_000
            box = int(region.x1 * wide), int(region.y1 * high), round(region.x2 * wide), round(region.y2 * high)
            yield _figure(page.crop(box), number, region)


def _joined(pictures: list[Region]) -> list[Region]:
    """Return the places of figures; a picture that was cut into strips is one."""
    left = [one for one in pictures if _area(one) < _WHOLE]
    found: list[Region] = []
    while left:
        one = left.pop(0)
        while near := [other for other in left if _touches(one, other)]:
            left = [other for other in left if other not in near]
            for other in near:
                one = Region(
                    one.page, min(one.x1, other.x1), min(one.y1, other.y1), max(one.x2, other.x2), max(one.y2, other.y2)
                )
        found.append(one)
    return [one for one in found if LARGE <= _area(one) < _WHOLE]


def _area(one: Region) -> float:
    return (one.x2 - one.x1) * (one.y2 - one.y1)


def _touches(a: Region, b: Region) -> bool:
    return max(b.x1 - a.x2, a.x1 - b.x2, b.y1 - a.y2, a.y1 - b.y2) <= _TOUCHING


def _of_slides(data: bytes) -> Iterator[Figure]:
    import pptx

    try:
        check_archive(data, ReadLimits().unpacked_bytes, "presentation")
        slides = list(pptx.Presentation(io.BytesIO(data)).slides)
        for number, slide in enumerate(slides, 1):
            for blob in _blobs(slide.shapes):
                yield from _opened(blob, number)
    except LOST:
        return


def _blobs(shapes: Any) -> Iterator[bytes]:
    from pptx.enum.shapes import MSO_SHAPE_TYPE

    for shape in shapes:
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            yield from _blobs(shape.shapes)
        elif shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
            try:
                yield shape.image.blob
            except DAMAGE:
                continue


def _of_book(data: bytes) -> Iterator[Figure]:
    try:
        for picture in book_pictures(data, max_unpacked_bytes=ReadLimits().unpacked_bytes):
            for figure in _opened(picture.data, None):
                yield replace(figure, caption=picture.caption)
    except LOST:
        return


def _of_archive(data: bytes) -> Iterator[Figure]:
    try:
        check_archive(data, ReadLimits().unpacked_bytes, "document")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in sorted(filter(_MEDIA.fullmatch, archive.namelist()), key=_naturally):
                yield from _opened(archive.read(name), None)
    except LOST:
        return


def _naturally(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), other) for other, digits in re.findall(r"(\D*)(\d{0,18})", name)]


def _opened(data: bytes, page: int | None) -> Iterator[Figure]:
    try:
        image = open_picture(data, max_pixels=ReadLimits().max_pixels)
    except Unreadable:
        return
    if min(image.size) >= SMALLEST_SIDE and image.width * image.height >= SMALLEST_PIXELS:
        yield _figure(image, page, None)


def _figure(image: "Image.Image", page: int | None, region: Region | None) -> Figure:
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    return Figure(image, digest, page, region)

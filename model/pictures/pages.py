"""Pages of a PDF as pictures, by PDFium, with what is filled into their forms."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from common.pdfium_lock import pdfium
from model.errors import ImageError
from model.pictures.decode import Decoded

if TYPE_CHECKING:
    from PIL import Image
    from pypdfium2 import PdfDocument

LONGER_SIDE = 1_600
"""Pixels of a page's longer side: body text stays legible on a page of A4."""
CLOSER = 4
"""A page of which a part is cut out is drawn so many times larger."""
LARGEST_SIDE = 8_000


def count_pdf_pages(source: str, data: bytes) -> int:
    """Return how many pages there are.

    Raises:
        ImageError: It is encrypted or damaged.
    """
    with _opened(source, data) as document:
        return len(document)


def draw_page(source: str, data: bytes, number: int, *, closer: bool = False) -> Decoded:
    """Return page `number`, from 0; its size is that at which whole pages are drawn.

    Raises:
        ImageError: There is no such page, or it is damaged.
    """
    import pypdfium2

    with _opened(source, data) as document:
        try:
            page = document[number]
            longer = max(page.get_width(), page.get_height(), 0.01)
            scale = LONGER_SIDE / longer
            size = (max(1, math.ceil(page.get_width() * scale)), max(1, math.ceil(page.get_height() * scale)))
            scale *= min(CLOSER, LARGEST_SIDE / LONGER_SIDE) if closer else 1
            image: Image.Image = page.render(scale=scale, may_draw_forms=True).to_pil().convert("RGB")
        except (pypdfium2.PdfiumError, MemoryError, ValueError):
            raise ImageError("image_page_damaged", source=source, page=number + 1) from None
    return Decoded(image, size)


@contextmanager
def _opened(source: str, data: bytes) -> "Iterator[PdfDocument]":
    import pypdfium2

    with pdfium:
        try:
            document = pypdfium2.PdfDocument(data)
            document.init_forms()
        except pypdfium2.PdfiumError as error:
            code = "image_pdf_locked" if "password" in str(error).lower() else "image_damaged"
            raise ImageError(code, source=source) from None
        try:
            yield document
        finally:
            document.close()

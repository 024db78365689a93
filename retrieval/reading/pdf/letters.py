"""The letters of a PDF's page, each with its box."""

import ctypes
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.reading.pdf.objects import Box, turned

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

_INK = 0.05  # points; a letter that is thinner has not been drawn
_FORMS = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
_SQUARE = -0.12, 0.88  # below and above the line, of a full-width sign's size
_ALEFS = "\u0627\u0622\u0623\u0625"
_LAM = "\u0644"


@dataclass(frozen=True)
class Letter:
    """A sign; left, bottom, right and top in points of the unturned page, and whether PDFium made it up."""

    sign: str
    left: float
    bottom: float
    right: float
    top: float
    generated: bool

    def turned(self, degrees: int) -> "Letter":
        """Return where it stands when the page is turned clockwise around its origin."""
        if not degrees:
            return self
        return Letter(self.sign, *turned((self.left, self.bottom, self.right, self.top), degrees), self.generated)


def letters_of(
    textpage: "PdfTextPage", most: int | None = None, *, loose: bool = False, lines: bool = False
) -> list[Letter]:
    """Return the letters.

    Where `loose`, one that has no ink, its font being missing, takes its square or its line's height; with `lines` all
    but those squares take their line's height.
    """
    from pypdfium2.raw import (
        FS_RECTF,
        FPDFText_GetCharBox,
        FPDFText_GetLooseCharBox,
        FPDFText_GetUnicode,
        FPDFText_IsGenerated,
    )

    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    places = [ctypes.byref(value) for value in (left, right, bottom, top)]
    letters = []
    high = 0
    count = textpage.count_chars()
    for n in range(count if most is None else min(count, most)):
        code = FPDFText_GetUnicode(textpage, n)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            if not high:
                continue
            code, high = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00, 0
        FPDFText_GetCharBox(textpage, n, *places)
        generated = FPDFText_IsGenerated(textpage, n) == 1
        box = left.value, bottom.value, right.value, top.value
        sign = chr(code) if code <= sys.maxunicode else "\ufffd"  # a font may map its glyphs to what is no character
        square = _square(textpage, n, sign, box) if (lines or loose) and not generated else None
        if square is not None:
            box = square
        elif not generated and (lines or (loose and min(box[2] - box[0], box[3] - box[1]) < _INK)):
            rect = FS_RECTF()
            if FPDFText_GetLooseCharBox(textpage, n, ctypes.byref(rect)):
                box = rect.left, rect.bottom, rect.right, rect.top
        letters.append(Letter(sign, *box, generated))
    return letters


def _square(textpage: "PdfTextPage", n: int, sign: str, box: Box) -> Box | None:
    """Return the square that a full-width sign without ink would fill; None for any other.

    PDFium knows the sign's advance, but takes the height from a font's ascent, which says nothing of such signs: they
    stand 0.12 of their size below the line and 0.88 above it, where a PDF has the origin of vertical writing, too
    (ISO 32000-1, 9.7.4.3, DW2).
    """
    if unicodedata.east_asian_width(sign) not in "WF":
        return None
    from pypdfium2.raw import FS_MATRIX, FPDFText_GetCharOrigin, FPDFText_GetFontSize, FPDFText_GetMatrix

    x, y, matrix = ctypes.c_double(), ctypes.c_double(), FS_MATRIX()
    FPDFText_GetCharOrigin(textpage, n, ctypes.byref(x), ctypes.byref(y))
    if not FPDFText_GetMatrix(textpage, n, ctypes.byref(matrix)):
        return None
    size = FPDFText_GetFontSize(textpage, n)

    def bounds(bottom: float, top: float) -> Box:
        corners = [
            (x.value + size * (u * matrix.a + v * matrix.c), y.value + size * (u * matrix.b + v * matrix.d))
            for u in (0.0, 1.0)
            for v in (bottom, top)
        ]
        xs, ys = [at for at, _ in corners], [at for _, at in corners]
        return min(xs), min(ys), max(xs), max(ys)

    # Without ink PDFium gives the piece of the line on which the sign stands.
    if any(abs(a - b) > _INK for a, b in zip(box, bounds(0.0, 0.0), strict=True)):
        return None
    return bounds(*_SQUARE)


def logical(letters: list[Letter]) -> tuple[str, list[int]]:
    """Put the letters of a ligature back in the order in which they are spoken, and forms to their letters."""
    order: list[int] = []
    for n, letter in enumerate(letters):
        before = letters[n - 1] if n else None
        # PDFium turns a line round letter by letter, and a ligature of two with it: they stand in one box.
        if (
            before is not None
            and letter.sign == _LAM
            and before.sign in _ALEFS
            and (before.left, before.right) == (letter.left, letter.right)
        ):
            order.insert(len(order) - 1, n)
        else:
            order.append(n)
    signs = "".join(letters[n].sign for n in order)
    return _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), signs), order

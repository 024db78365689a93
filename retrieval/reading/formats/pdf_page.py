"""The words of one PDF page as they are printed: columns and tables by where the letters stand, and what is filled in.

It is called under PDFium's lock, with an open page, and draws nothing.
"""

import ctypes
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from retrieval.reading.formats.pdf_objects import Box, objects_on
from retrieval.reading.layout import Run, in_reading_order

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

_MAX_CHARS = 30_000
_MOST_LETTERS = 100_000
_MAX_LINES = 2_000
_THIN = 3.0  # points
_INK = 0.05  # points; a letter that is thinner has not been drawn
_NEAR = 3.0
_ARABIC = re.compile("[\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufeff]")
_FORMS = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
_SQUARE = -0.12, 0.88  # below and above the line, of a full-width sign's size
_ALEFS = "\u0627\u0622\u0623\u0625"
_LAM = "\u0644"
_ANNOTATIONS = {1: "Note", 3: "Text", 9: "Highlighted", 20: "Field"}  # PDFium's FPDF_ANNOT_...
_WIDGET = 20
_FLAG_HIDDEN = 2

_Word = tuple[str, list[int]]
"""Its letters and their numbers."""


@dataclass(frozen=True)
class _Letter:
    sign: str
    left: float
    bottom: float
    right: float
    top: float
    generated: bool


def page_text(page: "PdfPage") -> str:
    """Return a page's text layer."""
    with _along_its_lines(page) as textpage:
        whole = textpage.get_text_range()
        if not 0 < len(whole) <= _MAX_CHARS:
            return whole
        return _printed(page, textpage, whole)[0]


def page_letters(page: "PdfPage") -> list[tuple[str, Box]]:
    """Return the letters of a page's text layer in the order of its text, with their boxes in points.

    Blanks are left out. Boxes are left, bottom, right, top of the unturned page, whatever its rotation and crop box.
    """
    with _along_its_lines(page) as textpage:
        letters = _letters(textpage, _MOST_LETTERS, loose=True)
        order: Iterable[int] = range(len(letters))
        if 0 < len(letters) <= _MAX_CHARS:
            order = _printed(page, textpage, textpage.get_text_range())[1]
        found = [letters[n] for n in order]
        return [(one.sign, (one.left, one.bottom, one.right, one.top)) for one in found if one.sign.strip()]


def page_words(page: "PdfPage") -> list[tuple[str, Box]]:
    """Return the words of a page's text layer, as PDFium tells them apart, with their boxes in points.

    Boxes are as high as their line, so that a comma stands on the line of its words; as in `page_letters` they are of
    the unturned page.
    """
    with _along_its_lines(page) as textpage:
        words: list[list[_Letter]] = [[]]
        for letter in _letters(textpage, _MOST_LETTERS, lines=True):
            if not letter.sign.strip() or letter.sign == "\x00":
                words.append([])
            else:
                words[-1].append(letter)
        return [
            (
                "".join(one.sign for one in word),
                (
                    min(one.left for one in word), min(one.bottom for one in word),
                    max(one.right for one in word), max(one.top for one in word),
                ),
            )
            for word in words
            if word
        ]  # fmt: skip


@contextmanager
def _along_its_lines(page: "PdfPage") -> "Iterator[PdfTextPage]":
    """Open a page's text; its lines may lie along the unturned page, and PDFium would list them from the wrong side."""
    from pypdfium2.raw import FPDFText_GetCharAngle

    textpage, turned = page.get_textpage(), page.get_rotation()
    try:
        if turned and _is_level(textpage, FPDFText_GetCharAngle):
            textpage.close()
            page.set_rotation(0)
            textpage = page.get_textpage()
        yield textpage
    finally:
        textpage.close()
        if page.get_rotation() != turned:
            page.set_rotation(turned)  # the document would remember the other one


def _is_level(textpage: "PdfTextPage", angle: Any) -> bool:
    count = min(textpage.count_chars(), 50)
    return count > 0 and sum(abs(angle(textpage, n)) < 0.1 for n in range(count)) > count / 2


def _printed(page: "PdfPage", textpage: "PdfTextPage", whole: str) -> tuple[str, Sequence[int]]:
    """Return the text, and the order in which it has the letters."""
    from pypdfium2.raw import FPDF_PAGEOBJ_PATH

    letters = _letters(textpage)
    order: Sequence[int] = range(len(letters))
    arabic = bool(_ARABIC.search(whole))
    if arabic:
        whole, order = _logical(letters)
    edges = []
    for _, box, _ in objects_on(page, [FPDF_PAGEOBJ_PATH]):
        edges.append(box)
        if len(edges) > _MAX_LINES:
            return whole, order
    if len(edges) > 5 and not arabic and (tabled := _tabled(letters, edges)) is not None:
        return tabled
    return (whole, order) if arabic else _columned(letters, whole)


def _letters(
    textpage: "PdfTextPage", most: int | None = None, *, loose: bool = False, lines: bool = False
) -> list[_Letter]:
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
        square = _square(textpage, n, chr(code), box) if (lines or loose) and not generated else None
        if square is not None:
            box = square
        elif not generated and (lines or (loose and min(box[2] - box[0], box[3] - box[1]) < _INK)):
            rect = FS_RECTF()
            if FPDFText_GetLooseCharBox(textpage, n, ctypes.byref(rect)):
                box = rect.left, rect.bottom, rect.right, rect.top
        sign = chr(code) if code <= sys.maxunicode else "\ufffd"  # a font may map its glyphs to what is no character
        letters.append(_Letter(sign, *box, generated))
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


def _logical(letters: list[_Letter]) -> tuple[str, list[int]]:
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


def _columned(letters: list[_Letter], whole: str) -> tuple[str, Sequence[int]]:
    """Read column by column what was drawn row by row."""
    runs, members = _runs(letters)
    if len(runs) < 6:
        return whole, range(len(letters))
    rows = in_reading_order(runs)
    order = [run.order for row in rows for run in row]
    # Only where a line of one column is followed by one of the other throughout was it drawn by rows.
    jumps = sum(b != a + 1 for a, b in pairwise(order))
    if jumps < 4:
        return whole, range(len(letters))
    text = "\n".join(" ".join(run.text for run in row) for row in rows)
    return text, [n for place in order for n in members[place]]


def _runs(letters: list[_Letter]) -> tuple[list[Run], list[list[int]]]:
    """Join letters to runs: a line break or a gap wider than a letter is high ends one. Their numbers come beside."""
    runs: list[Run] = []
    members: list[list[int]] = []
    current: list[int] = []

    def end() -> None:
        text = "".join(letters[n].sign for n in current)
        solid = [letters[n] for n in current if letters[n].sign.strip()]
        numbers = list(current)
        current.clear()
        if not solid:
            return
        members.append(numbers)
        top, bottom = -max(letter.top for letter in solid), -min(letter.bottom for letter in solid)
        left, right = min(letter.left for letter in solid), max(letter.right for letter in solid)
        runs.append(Run(text.strip(), left, top, right, bottom, len(runs)))

    last: _Letter | None = None
    for n, letter in enumerate(letters):
        if letter.sign in "\r\n":
            end()
            last = None
            continue
        if letter.sign.strip() and not letter.generated:
            height = max(letter.top - letter.bottom, last.top - last.bottom if last else 0.0, 4.0)
            if last is not None and (letter.left - last.right > 1.2 * height or letter.left < last.left - 3 * height):
                end()
            last = letter
        current.append(n)
    end()
    return runs, members


def _tabled(letters: list[_Letter], edges: list[Box]) -> tuple[str, list[int]] | None:
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


def annotations(pdf: "PdfDocument", page: "PdfPage") -> list[tuple[str, Box]]:
    """Return what is filled in and noted on a page, a line each with its box in points, in the file's order."""
    from pypdfium2.raw import (
        FS_RECTF,
        FPDFAnnot_GetFlags,
        FPDFAnnot_GetRect,
        FPDFAnnot_GetSubtype,
        FPDFPage_CloseAnnot,
        FPDFPage_GetAnnot,
        FPDFPage_GetAnnotCount,
    )

    lines = []
    for n in range(FPDFPage_GetAnnotCount(page)):
        annotation = FPDFPage_GetAnnot(page, n)
        if not annotation:
            continue
        try:
            kind = FPDFAnnot_GetSubtype(annotation)
            if FPDFAnnot_GetFlags(annotation) & _FLAG_HIDDEN:
                continue
            line = _field(pdf, annotation) if kind == _WIDGET else _string(annotation, "Contents")
            if line:
                rect = FS_RECTF()
                FPDFAnnot_GetRect(annotation, ctypes.byref(rect))
                box = (rect.left, rect.bottom, rect.right, rect.top)
                lines.append((line if kind == _WIDGET else f"{_ANNOTATIONS.get(kind, 'Note')}: {line}", box))
        finally:
            FPDFPage_CloseAnnot(annotation)
    return lines


def _field(pdf: "PdfDocument", annotation: Any) -> str:
    from pypdfium2.raw import (
        FPDFAnnot_GetFormFieldAlternateName,
        FPDFAnnot_GetFormFieldName,
        FPDFAnnot_GetFormFieldType,
        FPDFAnnot_GetFormFieldValue,
        FPDFAnnot_IsChecked,
    )

    if pdf.formenv is None:
        name, value = _string(annotation, "T"), _string(annotation, "V")
        return f"{name}: {value}" if value else ""
    form = pdf.formenv
    name = _wide(FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _wide(FPDFAnnot_GetFormFieldName, form, annotation)
    kind = FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (2, 3):  # check box, radio button
        return f"{name}: yes" if FPDFAnnot_IsChecked(form, annotation) else ""
    value = _wide(FPDFAnnot_GetFormFieldValue, form, annotation)
    return f"{name}: {value}" if value else ""


def _string(annotation: Any, key: str) -> str:
    from pypdfium2.raw import FPDFAnnot_GetStringValue

    return _wide(FPDFAnnot_GetStringValue, annotation, key.encode())


def _wide(call: Any, *arguments: Any) -> str:
    """Call what writes UTF-16 into a buffer, once for its size."""
    from pypdfium2.raw import FPDF_WCHAR

    size = call(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    call(*arguments, ctypes.cast(buffer, ctypes.POINTER(FPDF_WCHAR)), size)
    return " ".join(buffer.raw.decode("utf-16-le", "ignore").rstrip("\0").split())

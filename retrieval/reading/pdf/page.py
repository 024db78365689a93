"""The words of one PDF page as they are printed: columns and tables by where the letters stand, and what is filled in.

It is called under PDFium's lock, with an open page, and draws nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from retrieval.reading.layout import Run, in_reading_order
from retrieval.reading.pdf.letters import Letter, letters_of, logical
from retrieval.reading.pdf.objects import Box, turned
from retrieval.reading.pdf.tables import edges_on, tabled

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

_MAX_CHARS = 30_000
_MOST_LETTERS = 100_000
_MAX_LINES = 2_000
_ARABIC = re.compile("[\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufeff]")


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
        letters = letters_of(textpage, _MOST_LETTERS, loose=True)
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
        words: list[list[Letter]] = [[]]
        for letter in letters_of(textpage, _MOST_LETTERS, lines=True):
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
    textpage, turned = page.get_textpage(), page.get_rotation()
    try:
        if turned and _is_level(textpage):
            textpage.close()
            page.set_rotation(0)
            textpage = page.get_textpage()
        yield textpage
    finally:
        textpage.close()
        if page.get_rotation() != turned:
            page.set_rotation(turned)  # the document would remember the other one


def _is_level(textpage: "PdfTextPage") -> bool:
    """Say whether its first words go to the right on the unturned page, which PDFium's angles do not tell."""
    drawn = [letter for letter in letters_of(textpage, 50) if not letter.generated]
    steps = [(after.left - before.left, after.bottom - before.bottom) for before, after in pairwise(drawn)]
    return sum(x > abs(y) for x, y in steps) > len(steps) / 2


def _printed(page: "PdfPage", textpage: "PdfTextPage", whole: str) -> tuple[str, Sequence[int]]:
    """Return the text, and the order in which it has the letters."""
    turn = page.get_rotation()
    letters = [letter.turned(turn) for letter in letters_of(textpage)]
    order: Sequence[int] = range(len(letters))
    arabic = bool(_ARABIC.search(whole))
    if arabic:
        whole, order = logical(letters)
    edges = edges_on(page, _MAX_LINES)
    if edges is None:
        return whole, order
    edges = [turned(edge, turn) for edge in edges]
    if len(edges) > 5 and not arabic and (as_tables := tabled(letters, edges, _prose)) is not None:
        return as_tables
    return (whole, order) if arabic else _columned(letters, whole)


def _prose(letters: list[Letter]) -> tuple[str, Sequence[int]]:
    return _columned(letters, "".join(letter.sign for letter in letters))


def _columned(letters: list[Letter], whole: str) -> tuple[str, Sequence[int]]:
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


def _runs(letters: list[Letter]) -> tuple[list[Run], list[list[int]]]:
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

    last: Letter | None = None
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

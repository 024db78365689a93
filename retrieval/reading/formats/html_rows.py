"""The rows of an HTML table: empty cells keep their place, and a cell that spans rows is said in each of them."""

from typing import Any, NamedTuple

BETWEEN = " | "
_MOST = 1000  # columns and rows that a cell may span
_REPEATED = 200  # characters of a cell that is said again
_REPEATED_IN_ALL = 100_000  # of a page: a cell of a few bytes may span a thousand rows


class Repeats:
    """How much of a page may still be said again."""

    left = _REPEATED_IN_ALL


class _Above(NamedTuple):
    rows: int
    """How many more it spans."""
    width: int
    words: str


class Rows:
    """Where the row that is being written stands."""

    def __init__(self, repeats: Repeats) -> None:
        self._repeats = repeats
        self._column = self._begun = 0
        self._above: dict[int, _Above] = {}
        self._next: dict[int, _Above] = {}

    def begin_row(self) -> None:
        """Begin a row."""
        self._column = 0
        self._above, self._next = self._next, {}

    def begin_cell(self, length: int) -> list[str]:
        """Begin a cell; returns what stands before its words, the cells from above included.

        Args:
            length: Of the line so far, in pieces.
        """
        before = self._spanning()
        before += [BETWEEN] if self._column else []
        self._begun = length + len(before)
        return before

    def end_cell(self, cell: Any, line: list[str]) -> None:
        """End a cell whose words were written to the line."""
        width, height = _span(cell, "colspan"), _span(cell, "rowspan")
        if height > 1:
            words = " ".join("".join(line[self._begun :]).split())
            self._next[self._column] = _Above(height - 1, width, words[:_REPEATED])
        self._column += width

    def end_row(self, line: list[str]) -> None:
        """End a row: cells from above that come last are written, and empty ones at its end are taken off."""
        line += self._spanning()
        while line and not line[-1].strip(" |\n\t\r"):
            line.pop()
        # What a short row did not reach spans it all the same.
        for column, above in self._above.items():
            self._go_on(column, above)
        self._above = {}

    def _spanning(self) -> list[str]:
        found: list[str] = []
        while self._column in self._above:
            above = self._above.pop(self._column)
            self._go_on(self._column, above)
            self._repeats.left -= len(above.words)
            words = above.words if self._repeats.left > 0 else ""
            found += [BETWEEN, words] if self._column else [words]
            self._column += above.width
        return found

    def _go_on(self, column: int, above: _Above) -> None:
        if above.rows > 1:
            self._next[column] = above._replace(rows=above.rows - 1)


def _span(cell: Any, name: str) -> int:
    given = (cell.get(name) or "").strip()
    return min(_MOST, max(1, int(given))) if given.isdecimal() and given.isascii() and len(given) < 9 else 1

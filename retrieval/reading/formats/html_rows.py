"""The rows of an HTML table: empty cells keep their place, and a cell that spans rows is said in each of them."""

from typing import Any

BETWEEN = " | "
_MOST = 1000  # columns and rows that a cell may span


class Rows:
    """Where the row that is being written stands."""

    def __init__(self) -> None:
        self._column = self._begun = 0
        self._above: dict[int, tuple[int, str]] = {}
        """By column: how many rows more the cell above spans, and its words."""

    def begin_row(self) -> None:
        """Begin a row."""
        self._column = 0

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
            self._above[self._column] = height - 1, " ".join("".join(line[self._begun :]).split())
        self._column += width

    def end_row(self, line: list[str]) -> None:
        """End a row: cells from above that come last are written, and empty ones at its end are taken off."""
        line += self._spanning()
        while line and not line[-1].strip(" |\n\t\r"):
            line.pop()

    def _spanning(self) -> list[str]:
        found: list[str] = []
        while self._column in self._above:
            rows, words = self._above.pop(self._column)
            if rows > 1:
                self._above[self._column] = rows - 1, words
            found += [BETWEEN, words] if self._column else [words]
            self._column += 1
        return found


def _span(cell: Any, name: str) -> int:
    given = (cell.get(name) or "").strip()
    return min(_MOST, max(1, int(given))) if given.isdecimal() and given.isascii() else 1

"""The words of drawings in Office files: diagrams, charts, text boxes (ECMA-376 part 1, chapters 20 and 21)."""

from collections.abc import Iterator
from typing import Any

from retrieval.reading.formats.archive import local, value

MAX_VALUES = 200
"""Of a series that are written out; more is data, which no search finds by its words."""


def diagram_lines(root: Any) -> list[str]:
    """Return a diagram's (SmartArt's) words, a line a shape, in the order of its model."""
    points = [point for point in root.iter() if local(point) == "pt"]
    return [line for point in points or [root] if (line := " ".join(paragraphs(point)))]


def chart_lines(root: Any) -> list[str]:
    """Return a chart's titles, and for each series its name and values, each behind its category."""
    lines = [line for title in _all(root, "title") if (line := " ".join(paragraphs(title)))]
    for series in _all(root, "ser"):
        name = " ".join(_values(series, "tx").values())
        categories = _values(series, "cat") or _values(series, "xVal")
        numbers = list((_values(series, "val") or _values(series, "yVal")).items())[:MAX_VALUES]
        pairs = [" ".join(filter(None, (categories.get(place), _number(value)))) for place, value in numbers]
        if name or pairs:
            lines.append(": ".join(filter(None, (name, ", ".join(pairs)))))
    return lines


def box_lines(root: Any) -> list[str]:
    """Return the words of a drawing's text boxes, a line a paragraph."""
    return [line for body in _all(root, "txBody") for line in paragraphs(body)]


def paragraphs(element: Any) -> list[str]:
    """Return the words of the element's paragraphs, without empty ones; a run may end in the middle of a word."""
    found = ["".join(run.text or "" for run in _all(paragraph, "t")) for paragraph in _all(element, "p")]
    return [line for words in found if (line := " ".join(words.split()))]


def _values(series: Any, of: str) -> dict[int, str]:
    """Return the stored values of a part of a series by their places; an empty cell has none."""
    found: dict[int, str] = {}
    for part in _all(series, of):
        for point in _all(part, "pt"):
            place = value(point, "idx") or ""
            words = " ".join(" ".join(v.text or "" for v in _all(point, "v")).split())
            found[int(place) if place.isdecimal() else len(found)] = words
        if not found and (words := " ".join(" ".join(v.text or "" for v in _all(part, "v")).split())):
            found[0] = words
    return found


def _number(text: str) -> str:
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _all(element: Any, name: str) -> Iterator[Any]:
    return (inner for inner in element.iter() if local(inner) == name)

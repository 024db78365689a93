"""Turns the XML of a part of a Word document into lines, in reading order: paragraphs, fields, tables, text boxes.

It looks at local names only, so that Strict and Transitional Open XML read alike. It opens no archive.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from retrieval.reading.formats.archive import child, local, value
from retrieval.reading.headings import escape, heading_line

_DELETED = frozenset(("del", "moveFrom", "delText", "instrText", "rPr", "pPr", "sdtPr", "sdtEndPr", "tcPr", "fldData"))
_SIGNS = {"tab": " ", "br": " ", "cr": " ", "noBreakHyphen": "-", "softHyphen": "", "ptab": " "}
_ON = (None, "1", "true", "on")
_HEADING_NAME = re.compile(r"heading ([1-9])$", re.IGNORECASE)


@dataclass(frozen=True)
class Styles:
    """What the paragraph styles mean."""

    levels: dict[str, int] = field(default_factory=dict)
    """Of headings, by style id."""
    lists: frozenset[str] = frozenset()
    """Ids of the styles of lists."""


def read_styles(root: Any) -> Styles:
    """Read the part `styles.xml`."""
    levels: dict[str, int] = {}
    lists = set()
    based: dict[str, str] = {}
    for style in root:
        if local(style) != "style" or value(style, "type") not in ("paragraph", None):
            continue
        id, named = value(style, "styleId") or "", child(style, "name")
        name = "" if named is None else value(named, "val") or ""
        outline = child(child(style, "pPr"), "outlineLvl")
        if heading := _HEADING_NAME.match(name):
            levels[id] = int(heading[1])
        elif name.lower() == "title":
            levels[id] = 1
        elif outline is not None and (value(outline, "val") or "") in "012345678":
            levels[id] = int(value(outline, "val") or "0") + 1
        if name.lower().startswith("list"):
            lists.add(id)
        if (above := child(style, "basedOn")) is not None:
            based[id] = value(above, "val") or ""
    return Styles({id: level for id in {*levels, *based} if (level := _inherited(id, levels, based))}, frozenset(lists))


def _inherited(id: str, levels: dict[str, int], based: dict[str, str]) -> int:
    seen = set[str]()
    while id and id not in levels and id not in seen:
        seen.add(id)
        id = based.get(id, "")
    return levels.get(id, 0)


@dataclass
class WordText:
    """The lines of one part, and the pictures met on the way."""

    styles: Styles
    pictures: dict[str, list[str]]
    """By relationship id, the lines that OCR read; filled by the caller beforehand."""
    lines: list[str] = field(default_factory=list)
    """Each with its line break."""

    def read(self, container: Any) -> list[str]:
        """Read what a body, header, note or comment holds."""
        self._blocks(container)
        return self.lines

    def _blocks(self, container: Any) -> None:
        for block in _unwrapped(container):
            if local(block) == "p":
                self._paragraph(block)
            elif local(block) == "tbl":
                self.lines += [*(f"{escape(row)}\n" for row in self._rows(block) if row.strip(" |")), "\n"]

    def _paragraph(self, paragraph: Any) -> None:
        aside: list[Any] = []
        text = " ".join("".join(_inline(paragraph, aside)).split())
        if text:
            self.lines.append(self._line(paragraph, text))
        for drawn in aside:
            if local(drawn) == "txbxContent":
                self._blocks(drawn)
            else:
                shown = self.pictures.get(value(drawn, "embed") or value(drawn, "id") or "", [])
                self.lines += [escape(line) + "\n\n" for line in shown]

    def _line(self, paragraph: Any, text: str) -> str:
        properties = child(paragraph, "pPr")
        named = child(properties, "pStyle")
        style = "" if named is None else value(named, "val") or ""
        outline = child(properties, "outlineLvl")
        own = "" if outline is None else value(outline, "val") or ""
        level = int(own) + 1 if own and own in "012345678" else self.styles.levels.get(style, 0)
        if level:
            return heading_line(level, text) + "\n\n"
        if style in self.styles.lists or child(properties, "numPr") is not None:
            return f"- {text}\n"
        return escape(text) + "\n\n"

    def _rows(self, table: Any) -> Iterator[str]:
        above: dict[int, str] = {}
        for row in _unwrapped(table):
            if local(row) != "tr" or child(child(row, "trPr"), "del") is not None:
                continue
            cells: list[str] = []
            column = _number(child(child(row, "trPr"), "gridBefore"), 0)
            for cell in _unwrapped(row):
                if local(cell) != "tc":
                    continue
                properties = child(cell, "tcPr")
                merged = child(properties, "vMerge")
                if merged is not None and value(merged, "val") in (None, "continue"):
                    text = above.get(column, "")
                else:
                    inner = WordText(self.styles, self.pictures)
                    text = " ".join("".join(inner.read(cell)).split())
                above[column] = text
                cells.append(text)
                column += _number(child(properties, "gridSpan"), 1)
            yield " | ".join(cells)


def _number(element: Any, default: int) -> int:
    text = "" if element is None else value(element, "val") or ""
    return int(text) if text.isdecimal() and len(text) < 4 else default


def _unwrapped(container: Any) -> Iterator[Any]:
    """Yield the children of a container; content controls, insertions and the like are looked through."""
    waiting = [iter(container)]
    while waiting:
        element = next(waiting[-1], None)
        if element is None:
            waiting.pop()
            continue
        name = local(element)
        if name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "docPart"):
            waiting.append(iter(element))
        elif name == "AlternateContent":
            waiting.append(iter(_alternative(element)))
        elif name and name not in _DELETED:
            yield element


def _alternative(element: Any) -> Any:
    """Return the first branch: the others say the same for older programs."""
    return next((branch for branch in element if local(branch) in ("Choice", "Fallback")), ())


def _inline(element: Any, aside: list[Any]) -> Iterator[str]:
    """Yield the words of a paragraph, and set text boxes and pictures aside, in order."""
    for inner in element:
        name = local(inner)
        if name in _DELETED or name == "rt":
            continue
        if name == "t":
            yield inner.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        elif name == "AlternateContent":
            yield from _inline(_alternative(inner), aside)
        elif name == "r" and _is_hidden(inner):
            continue
        elif name in ("txbxContent", "blip", "imagedata"):
            aside.append(inner)
        else:
            yield from _inline(inner, aside)


def _is_hidden(run: Any) -> bool:
    vanish = child(child(run, "rPr"), "vanish")
    return vanish is not None and value(vanish, "val") in _ON

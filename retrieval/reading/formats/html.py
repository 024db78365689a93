"""Turns an HTML page into its visible text in reading order, with headings as `headings.find_headings` finds them.

Scripts, styles and hidden parts are left out; nothing is fetched and nothing is run.
"""

import re
from collections.abc import Callable
from typing import Any

from retrieval.reading.decode import Decoded, decode
from retrieval.reading.formats.html_rows import BETWEEN, Repeats, Rows
from retrieval.reading.headings import escape, fenced, heading_line
from retrieval.reading.unreadable import Broken, Empty
from retrieval.records import Document

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_is_block = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|dialog|div|dl|dt|fieldset|figcaption|figure|"
    "footer|form|header|hgroup|hr|legend|main|menu|nav|ol|p|section|summary|table|tbody|tfoot|thead|ul"
).fullmatch
_LINES = frozenset(("br", "li", "option", "tr"))
_CELLS = frozenset(("td", "th"))
# A cell that holds one of these is the layout of a page, not data.
_LAYOUT = ("table", "ul", "ol", "pre", *_HEADINGS)
_is_unseen = re.compile(
    "applet|area|audio|base|canvas|embed|head|iframe|link|map|meta|noscript|object|script|select|style|svg|template|"
    "textarea|video"
).fullmatch
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_HEAD_BYTES = 4_096


def read_html(data: bytes, words_in: Callable[[Any], list[str]] | None = None) -> Document:
    """Read a page.

    Args:
        data: The whole file.
        words_in: Gives the words of a picture by its element, in lines; None leaves pictures out.

    Raises:
        Broken: It is nested deeper than any page that a person wrote.
        Empty: Nothing in it is visible text.
        NotText: It is binary.
    """
    decoded = _decoded(data)
    root = _parse(decoded)
    text = "" if root is None else _visible_text(root, words_in)
    if root is None or not re.search(r"\w", text):
        raise Empty("nothing on the page is visible text")
    title = " ".join((root.findtext(".//title") or root.findtext(".//h1") or "").split())
    return Document(text, "html", codec=decoded.codec, confidence=decoded.confidence, title=title)


def parse_html(data: bytes) -> Any:
    """Return the root of a page; None where there is nothing on it. Errors are those of `read_html`, without Empty."""
    return _parse(_decoded(data))


def _decoded(data: bytes) -> Decoded:
    declared = _CHARSET.search(data[:_HEAD_BYTES])
    return decode(data, declared[1].decode("ascii", "ignore") if declared else None)


def _parse(decoded: Decoded) -> Any:
    from lxml import etree

    # As UTF-8, so that what the page says of its encoding, already settled, is not asked again.
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(decoded.text.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        raise Broken("HTML page", str(error)) from None
    # The parser stops at its limits without an error, and what follows would be lost in silence.
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise Broken("HTML page", "nested more than 256 deep, or one run of text over 10 MB")
    return root


def _visible_text(root: Any, words_in: Callable[[Any], list[str]] | None) -> str:
    from lxml import etree

    page = _Page(words_in)
    # Events instead of recursion: nesting costs no stack.
    walk = etree.iterwalk(root, events=("start", "end"))
    hidden = None
    for event, element in walk:
        if event == "start":
            if hidden is None and _is_hidden(element):
                if not _is_put_away(element):
                    page.drawing(element)
                hidden = element
                walk.skip_subtree()
            elif hidden is None:
                page.open(element)
                page.write(element.text)
            continue
        if hidden is element:
            hidden = None
        elif hidden is None:
            page.close(element)
        if hidden is None:
            page.write(element.tail)
    return page.text()


def _is_hidden(element: Any) -> bool:
    return bool(_is_unseen(element.tag)) or _is_put_away(element)


def _is_put_away(element: Any) -> bool:
    return element.get("hidden") is not None or bool(_HIDDEN_STYLE.search(element.get("style") or ""))


class _Page:
    """Text under construction: finished parts, and the line that is being written."""

    def __init__(self, words_in: Callable[[Any], list[str]] | None) -> None:
        self._words_in = words_in
        self._parts: list[str] = []
        self._line: list[str] = []
        self._pre = 0
        self._cells = 0
        self._repeats = Repeats()
        self._rows = [Rows(self._repeats)]  # of the tables that are open; a cell outside of any has the first's

    def open(self, element: Any) -> None:
        tag = element.tag
        if tag == "pre":
            self._end_line("\n\n")
            self._pre += 1
        elif tag in _CELLS:
            self._open_cell(element)
        elif _is_block(tag) or tag in _HEADINGS:
            self._end_line("\n\n")
            self._rows += [Rows(self._repeats)] if tag == "table" else []
        elif tag in _LINES:
            self._end_line("\n")
            self._line += ["- "] if tag == "li" else []
            if tag == "tr":
                self._rows[-1].begin_row()
        elif tag == "img":
            self._line.append(f" {element.get('alt') or ''} ")
            self._picture(element)

    def _open_cell(self, cell: Any) -> None:
        if self._is_data(cell):
            self._line += self._rows[-1].begin_cell(len(self._line))
            self._cells += 1
        elif any(piece.strip() for piece in self._line):
            self._line.append(BETWEEN)

    def drawing(self, element: Any) -> None:
        """Take the pictures inside a drawing, as the covers of books have them, and its words."""
        if element.tag == "svg":
            for picture in element.iter("image"):
                self._picture(picture)
            for written in element.iter("text"):
                self._end_line("\n")
                self.write("".join(written.itertext()))
                self._end_line("\n")

    def _picture(self, element: Any) -> None:
        lines = [] if self._words_in is None else self._words_in(element)
        for line in lines:
            self._end_line("\n")
            self._line.append(line)
        if lines:
            self._end_line("\n")

    def close(self, element: Any) -> None:
        tag = element.tag
        if tag == "pre":
            self._close_pre()
        elif tag in _HEADINGS:
            self._end_line("\n\n", level=_HEADINGS[tag])
        elif tag in _CELLS:
            self._close_cell(element)
        elif tag == "tr" and not self._cells:
            self._rows[-1].end_row(self._line)
            self._end_line("\n")
        elif _is_block(tag):
            self._end_line("\n\n")
            if tag == "table" and len(self._rows) > 1:
                self._rows.pop()
        elif tag in _LINES:
            self._end_line("\n")

    def _close_pre(self) -> None:
        self._pre -= 1
        if not self._pre:
            raw = "".join(self._line).strip("\r\n")
            self._line.clear()
            if raw.strip():
                self._parts.append(fenced(raw) + "\n\n")

    def _close_cell(self, cell: Any) -> None:
        if self._is_data(cell):
            self._cells -= 1
            self._rows[-1].end_cell(cell, self._line)

    def write(self, text: str | None) -> None:
        if text:
            # A soft hyphen only says where a line may break.
            self._line.append(text.replace("\u00ad", ""))

    def text(self) -> str:
        self._end_line("\n\n")
        return "".join(self._parts).strip()

    def _is_data(self, cell: Any) -> bool:
        return next(cell.iter(*_LAYOUT), None) is None

    def _end_line(self, end: str, level: int = 0) -> None:
        if self._pre or self._cells:
            self._line.append("\n" if self._pre else " ")
            return
        line = " ".join("".join(self._line).split())
        self._line.clear()
        if line and line != "-":
            self._parts.append((heading_line(level, line) if level else escape(line)) + end)
        elif self._parts and end == "\n\n" and not self._parts[-1].endswith(end):
            self._parts[-1] += "\n"

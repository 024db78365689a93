"""Finds the headings of a Markdown text, with their positions, and writes text in which only ours are found.

It knows fences, front matter, and both styles of heading; it does not render, and knows no other part of Markdown.
HTML and Word documents become such text: headings as `## Title`, preformatted parts fenced, other lines escaped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|$)")
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(={2,}|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# A line of a list, quotation, table or rule is no title, even when dashes follow it.
_NO_TITLE = re.compile(r" {0,3}(?:[-*+>|#]|\d+[.)]\s|`{3}|~{3})| {4}|\t")
_FRONT_MATTER_CHARS = 20_000
_TITLE_FIELD = re.compile(r"^title[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_LIKE_OURS = re.compile(r"(?=#{1,6}(?:[ \t]|$)|`{3}|~{3})")


@dataclass(frozen=True)
class Heading:
    """A heading and where its line, or two lines, lie."""

    level: int
    """1 to 6, outermost 1."""
    title: str
    start: int
    end: int


def find_headings(text: str, *, underlined: bool = True) -> list[Heading]:
    """Return the headings in order.

    Args:
        text: Markdown.
        underlined: Whether a line of `===` or `---` makes a heading of the line above.
    """
    found: list[Heading] = []
    fence = ""
    # The two lines above: only a paragraph of one line can be an underlined heading.
    above, above_start, before_above = "", 0, ""
    for start, line, end in _lines(text, _front_matter_end(text)):
        if fence:
            mark = _FENCE.match(line)
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            line = ""
        elif mark := _FENCE.match(line):
            fence = mark[1]
            line = ""
        elif mark := _ATX.match(line):
            title = _plain(line[mark.end() :])
            if title:
                found.append(Heading(len(mark[1]), title, start, end))
            line = ""
        elif underlined and (mark := _UNDERLINE.match(line)) and _is_title(above) and not before_above.strip():
            found.append(Heading(1 if mark[1][0] == "=" else 2, above.strip(), above_start, end))
            line = ""
        above, above_start, before_above = line, start, above
    return found


def find_title(text: str) -> str:
    """Return the title that the front matter or the first heading gives, or nothing."""
    field = _TITLE_FIELD.search(text, 0, _front_matter_end(text))
    if field and (title := field[1].strip().strip("\"'")):
        return title
    return next((heading.title for heading in find_headings(text)), "")


def heading_line(level: int, title: str) -> str:
    """Write a heading."""
    return f"{'#' * min(level, 6)} {title}"


def escape(line: str) -> str:
    """Write a line that is none of ours: a backslash before what would be read as a heading or a fence."""
    return _LIKE_OURS.sub("\\\\", line, count=1) if _LIKE_OURS.match(line) else line


def fenced(text: str) -> str:
    """Write a preformatted part."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _lines(text: str, start: int) -> Iterator[tuple[int, str, int]]:
    """Yield start, line and end with its line break; form feeds and Unicode separators do not end a line."""
    while start < len(text):
        match = _LINE.match(text, start)
        assert match is not None, "the pattern fits any text"
        yield start, match[1], match.end()
        start = match.end()


def _front_matter_end(text: str) -> int:
    """Return where the YAML block at the top ends, 0 where there is none."""
    lines = _lines(text[:_FRONT_MATTER_CHARS], 0)
    if next(lines, (0, "", 0))[1].rstrip() != "---":
        return 0
    return next((end for _, line, end in lines if line.rstrip() in ("---", "...")), 0)


def _is_title(line: str) -> bool:
    return bool(line.strip()) and not _NO_TITLE.match(line)


def _plain(title: str) -> str:
    """Take the closing #s from an ATX heading."""
    title = title.strip()
    opened = title.rstrip("#")
    return title if opened and opened[-1] not in " \t" else opened.strip()

"""What a caller may write to name a picture: a path or an address, and behind `#` the part of it that is meant.

The parts are those of W3C's Media Fragments (`#xywh=10,20,300,200`, `#xywh=percent:0,0,50,50`, `#t=10,20`) and RFC 8118
(`#page=3`), with `#page=2-5` beside them and `&` between several. It opens nothing.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from model.errors import ImageError

_FRAGMENT = re.compile(r"(?:xywh|page|pages|t)=[^#]*", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PAGES = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“", "<": ">"}


@dataclass(frozen=True)
class Region:
    """A rectangle of a picture: its upper left corner, width and height, in pixels or in percent of the picture."""

    x: float
    y: float
    width: float
    height: float
    percent: bool = False

    def __str__(self) -> str:
        numbers = ",".join(_text(value) for value in (self.x, self.y, self.width, self.height))
        return f"xywh=percent:{numbers}" if self.percent else f"xywh={numbers}"


@dataclass(frozen=True)
class Fragment:
    """The part that is meant; what is None was not said."""

    region: Region | None = None
    pages: tuple[int, int] | None = None
    """First and last, from 1."""
    seconds: tuple[float, float | None] | None = None
    """From where to where in a film; its end None if it was not said. A start alone is a moment."""

    def __str__(self) -> str:
        parts = []
        if self.pages is not None:
            first, last = self.pages
            parts.append(f"page={first}" if first == last else f"page={first}-{last}")
        if self.seconds is not None:
            start, end = self.seconds
            parts.append(f"t={_text(start)}" if end is None else f"t={_text(start)},{_text(end)}")
        if self.region is not None:
            parts.append(str(self.region))
        return "&".join(parts)


WHOLE = Fragment()


def tidied(source: str) -> str:
    """Return the source without what people and programs put around a path: blanks, line ends, quotation marks."""
    source = source.strip()
    while len(source) > 2 and _QUOTES.get(source[0]) == source[-1]:
        source = source[1:-1].strip()
    return source


def split_source(source: str) -> tuple[str, Fragment]:
    """Return what is to be opened, and which part of it.

    A `#` that begins no part belongs to the name: `C#.png` is a file.

    Raises:
        ImageError: A part is named whose numbers cannot be read.
    """
    name, sign, text = source.rpartition("#")
    text = unquote(text)
    if not sign or not name or not _FRAGMENT.fullmatch(text):
        return source, WHOLE
    region = pages = seconds = None
    for part in text.split("&"):
        key, _, value = part.partition("=")
        match key.strip().lower():
            case "xywh":
                region = _region(value, source)
            case "page" | "pages":
                pages = _pages(value, source)
            case "t":
                seconds = _seconds(value, source)
            case _:
                raise ImageError("image_part_unreadable", source=source, part=part)
    return name, Fragment(region, pages, seconds)


def _region(value: str, source: str) -> Region:
    unit, colon, numbers = value.strip().rpartition(":")
    found = [number.strip() for number in numbers.split(",")]
    known = not colon or unit.lower() in ("pixel", "percent")
    if not known or len(found) != 4 or not all(_NUMBER.fullmatch(number) for number in found):
        raise ImageError("image_part_unreadable", source=source, part=f"xywh={value}")
    x, y, width, height = (round(float(number), 3) for number in found)
    if not width or not height:
        raise ImageError("image_part_unreadable", source=source, part=f"xywh={value}")
    return Region(x, y, width, height, unit.lower() == "percent")


def _pages(value: str, source: str) -> tuple[int, int]:
    match = _PAGES.fullmatch(value.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match and len(value) < 20 else (0, 0)
    if not 1 <= first <= last:
        raise ImageError("image_part_unreadable", source=source, part=f"page={value}")
    return first, last


def _seconds(value: str, source: str) -> tuple[float, float | None]:
    text = value.strip().lower().removeprefix("npt:")
    start, comma, end = (part.strip() for part in text.partition(","))
    times = [_time(part) for part in (start or "0", end) if part]
    if None in times or not text or (comma and not end):
        raise ImageError("image_part_unreadable", source=source, part=f"t={value}")
    first, last = times[0] or 0.0, times[1] if len(times) > 1 else None
    if last is not None and last < first:
        raise ImageError("image_part_unreadable", source=source, part=f"t={value}")
    return first, None if last == first else last


def _time(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    return 3600 * int(match[1] or 0) + 60 * int(match[2] or 0) + round(float(match[3]), 3) if match else None


def _text(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")

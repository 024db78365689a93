"""Qwen3-VL's boxes, as it writes them, as pixels of the picture that was given. It looks at no picture.

The model writes JSON objects with `bbox_2d` [x1, y1, x2, y2] in thousandths of the picture's width and height,
whatever the picture's size: alone, in a list, between fences, between words, or cut off by the token limit.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SCALE = 1000
"""Qwen3-VL's coordinates go from 0 to 1000."""

_BRACKET = re.compile(r"[\[\]{]")
_DECODER = json.JSONDecoder()
_MAX_DEPTH = 64  # a text of ten thousand brackets must not exhaust the stack


@dataclass(frozen=True)
class GroundedBox:
    """A place in a picture."""

    label: str
    """What the box holds, in the model's words; may be empty."""
    image: int
    """Number of the picture, from 0."""
    x1: int
    """Left edge in pixels."""
    y1: int
    """Upper edge in pixels."""
    x2: int
    """Right edge in pixels, not left of `x1` and inside the picture."""
    y2: int
    """Lower edge in pixels."""


def parse_boxes(text: str, pictures: Sequence[tuple[int, int]]) -> list[GroundedBox]:
    """Return the boxes that an answer names, in its order; none where it names none. Never raises.

    A box belongs to the picture of its own `image` key (from 0). Without that key the lists of an answer go to the
    pictures in order where there are as many lists as pictures, and everything to the first picture where not.
    Complete objects of a list that was cut off are kept.

    Args:
        text: The answer.
        pictures: (width, height) of each picture, in pixels.
    """
    if not pictures:
        return []
    groups = [group for group in _groups(text) if group]
    in_order = len(groups) == len(pictures)
    boxes = []
    for number, group in enumerate(groups):
        for found in group:
            box = _box(found, number if in_order else 0, pictures)
            if box is not None:
                boxes.append(box)
    return boxes


def _groups(text: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects with a box, one list for each list in the text, and one for each object outside of lists."""
    at = 0
    group: list[dict[str, Any]] | None = None  # of the list that is open and did not parse as a whole
    while bracket := _BRACKET.search(text, at):
        at = bracket.start()
        if text[at] == "]":
            if group is not None:
                yield group
            group = None
            at += 1
            continue
        value, end = _decode(text, at)
        if value is None:
            if text[at] == "[" and group is None:
                group = []
            at += 1
            continue
        at = end
        found = list(_objects(value))
        if group is not None:
            group += found
        else:
            yield found
    if group is not None:
        yield group


def _decode(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `at` and where it ends; None where there is none."""
    if text.startswith("[" * _MAX_DEPTH, at):
        return None, at
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at
    return value, end


def _objects(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        if "bbox_2d" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, depth + 1)


def _box(found: dict[str, Any], number: int, pictures: Sequence[tuple[int, int]]) -> GroundedBox | None:
    corners = found["bbox_2d"]
    image = found.get("image", number)
    if not isinstance(image, int) or isinstance(image, bool) or not 0 <= image < len(pictures):
        return None
    if not isinstance(corners, list) or len(corners) != 4 or not all(_is_number(value) for value in corners):
        return None
    width, height = pictures[image]
    x1, x2 = sorted(_pixel(value, width) for value in corners[::2])
    y1, y2 = sorted(_pixel(value, height) for value in corners[1::2])
    label = found.get("label", "")
    return GroundedBox(label if isinstance(label, str) else str(label), image, x1, y1, x2, y2)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _pixel(value: float, size: int) -> int:
    clipped = min(max(value, 0), SCALE)  # before scaling: the model may write a number that no float holds
    return round(clipped * size / SCALE)

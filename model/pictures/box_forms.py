"""The forms in which models write boxes, read from text as numbers. What the numbers mean is `boxes`' to say.

JSON objects under a key such as `bbox_2d` (Qwen2.5-VL, Qwen3-VL), `box_2d` in the order y, x (Gemini, Gemma 3), or by
label; corners as `(x1,y1),(x2,y2)`, alone or in Qwen-VL's and Qwen2-VL's tags; `<box>[[x1, y1, x2, y2]]</box>`
(InternVL); `<loc0123>` tokens (PaliGemma); edges by name; and four numbers in brackets behind a word for a box. Points
(`point_2d`, Molmo's `<point>`) are told apart: they are no boxes.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Unit = Literal["", "loc", "percent"]
"""Of the numbers where the form itself tells it: 1024ths (`loc`), percent, or nothing."""

KEYS = ("bbox_2d", "bbox", "bounding_box", "boundingBox", "box", "coordinates", "bndbox")
YX_KEY = "box_2d"
POINT_KEYS = ("point_2d", "point")
LABELS = ("label", "name", "object", "class", "category", "ref", "text_content", "description")
EDGES = (
    ("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)  # fmt: skip
SIZES = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))

_MAX_DEPTH = 64  # a text of ten thousand brackets must not exhaust the stack
_DECODER = json.JSONDecoder()
_BRACKET = re.compile(r"[\[\]{]")
_N = r"\s*(-?\d+(?:\.\d+)?)\s*"
_PAIR = rf"\({_N},{_N}\)"
_REF = r"(?:(?:<ref>|<\|object_ref_start\|>)(?P<label>.*?)(?:</ref>|<\|object_ref_end\|>)\s*)?"
_TAGGED = re.compile(
    rf"{_REF}(?:<box>|<\|box_start\|>)(?P<body>.*?)(?:</box>|<\|box_end\|>|$)", re.DOTALL | re.IGNORECASE
)
_LOC = re.compile(r"((?:<loc\d{4}>){4})\s*([^<;\n]*)")
_POINT = re.compile(r"<points?\b([^>]*)>([^<]*)(?:</points?>)?", re.IGNORECASE)
_CORNERS = re.compile(rf"{_PAIR}\s*(?:,|to|and|-|–|至|到)?\s*{_PAIR}")
_NAMED = re.compile(rf"x1\W{{1,3}}{_N}\W+y1\W{{1,3}}{_N}\W+x2\W{{1,3}}{_N}\W+y2\W{{1,3}}{_N}", re.IGNORECASE)
_FOUR = re.compile(rf"[\[(]{_N},{_N},{_N},{_N}[\])]")
_BOX_WORD = re.compile(
    r"\b(?:bounding[ -]?box|bbox|box|coordinates?|located|location)\b|边界框|坐标|位置|框", re.IGNORECASE
)
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
_SMALL = 20  # four numbers up to it under any key are counts rather than corners
_WORD_REACH = 80  # characters before four numbers in which a word for a box makes them one


@dataclass(frozen=True)
class RawBox:
    """A box or a point as a model wrote it."""

    label: str
    numbers: tuple[float, ...]
    """x1, y1, x2, y2, or x, y of a point."""
    group: int
    """Boxes of one list have one number."""
    image: Any = None
    """The picture that the model names; None if it names none."""
    unit: Unit = ""

    @property
    def is_point(self) -> bool:
        """Whether it is a place without a size."""
        return len(self.numbers) == 2


def find_raw_boxes(text: str, *, wanted: bool = False) -> list[RawBox]:
    """Return the boxes and points of a text, in its order within each form; never raises.

    Args:
        text: An answer.
        wanted: Whether the question asked for places: four numbers in brackets are then a box without a word for it.
    """
    found = list(_tagged(text))
    for form in (_TAGGED, _LOC, _POINT):
        text = form.sub(" ", text)
    groups = len(found)
    in_json, text = _in_json(text, groups, wanted)
    found += in_json
    groups += len(in_json)
    for form in (_CORNERS, _NAMED):
        found += [RawBox("", _floats(match.groups()), groups) for match in form.finditer(text)]
        text = form.sub(" ", text)
    for match in _FOUR.finditer(text):
        before = text[max(0, match.start() - _WORD_REACH) : match.start()]
        if wanted or _BOX_WORD.search(before):
            found.append(RawBox("", _floats(match.groups()), groups))
    return [one for one in found if all(map(math.isfinite, one.numbers))]


def _tagged(text: str) -> Iterator[RawBox]:
    for number, match in enumerate(_TAGGED.finditer(text)):
        values = _floats(_NUMBERS.findall(match["body"]))
        for at in range(0, len(values) - 3, 4):
            yield RawBox((match["label"] or "").strip(), values[at : at + 4], number)
    for match in _LOC.finditer(text):
        y1, x1, y2, x2 = _floats(re.findall(r"\d{4}", match[1]))
        yield RawBox(match[2].strip(), (x1, y1, x2, y2), -1, unit="loc")
    for match in _POINT.finditer(text):
        places = dict(re.findall(r"(\w+)\s*=\s*[\"']?(-?\d+(?:\.\d+)?)", match[1]))
        for x, y in ((key, "y" + key[1:]) for key in places if key.startswith("x")):
            if y in places:
                yield RawBox(match[2].strip(), _floats((places[x], places[y])), -1, unit="percent")


def _in_json(text: str, first_group: int, wanted: bool) -> tuple[list[RawBox], str]:
    """Return the boxes of JSON values, one group for each list, and the text without those values.

    A list that was cut off, or holds what is no JSON, is gone through element by element.
    """
    found: list[RawBox] = []
    left: list[str] = []
    at, done, group, is_open = 0, 0, first_group, False
    while bracket := _BRACKET.search(text, at):
        at = bracket.start()
        if text[at] == "]":
            group, is_open, at = group + is_open, False, at + 1
            continue
        value, end = _decode(text, at)
        boxes = (
            []
            if value is None
            else list(
                _boxes_in(value, "", group, bare=wanted or (isinstance(value, list) and _is_alone(text, at, end)))
            )
        )
        if boxes:
            left.append(text[done:at])
            found += boxes
            at = done = end
            group += not is_open
        elif value is not None:
            at = end
        else:
            is_open |= text[at] == "["
            at += 1
    return found, " ".join([*left, text[done:]])


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether the value is all that the text says, between fences too."""
    around = (text[:start] + text[end:]).replace("`", "").strip()
    return around in ("", "json")


def _decode(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `at` and where it ends; None if there is none."""
    if text.startswith("[" * _MAX_DEPTH, at):
        return None, at
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at
    return value, end


def _boxes_in(value: Any, label: str, group: int, depth: int = 0, *, bare: bool) -> Iterator[RawBox]:
    """Yield the boxes of a JSON value; `bare` lists of four numbers count only where nothing else can be meant."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        own = list(_of_object(value, label, group))
        if own:
            yield from own
            return
        by_label = _is_by_label(value)
        for key, item in value.items():
            yield from _boxes_in(item, str(key) if by_label else label, group, depth + 1, bare=bare or by_label)
    elif isinstance(value, list):
        numbers = _four(value)
        if numbers is not None:
            if bare and depth:
                yield RawBox(label, numbers, group)
            return
        for item in value:
            yield from _boxes_in(item, label, group, depth + 1, bare=bare)


def _of_object(value: Mapping[str, Any], label: str, group: int) -> Iterator[RawBox]:
    named = next((str(value[key]) for key in LABELS if isinstance(value.get(key), str | int)), label)
    image = value.get("image", value.get("image_index"))
    base = RawBox(named, (), group, image)
    for key in (*KEYS, YX_KEY):
        for numbers in _all_fours(value[key]) if key in value else ():
            x1, y1, x2, y2 = numbers
            yield replace(base, numbers=(y1, x1, y2, x2) if key == YX_KEY else numbers)
    for names in EDGES:
        if all(name in value for name in names) and (edges := _four([value[name] for name in names])):
            yield replace(base, numbers=edges)
            return
    for names in SIZES:
        if all(name in value for name in names) and (place := _four([value[name] for name in names])):
            x, y, width, height = place
            yield replace(base, numbers=(x, y, x + width, y + height))
            return
    for key in POINT_KEYS:
        point = value.get(key)
        if isinstance(point, list) and len(point) == 2 and (two := _numbers(point)):
            yield replace(base, numbers=two)


def _all_fours(value: Any) -> Iterator[tuple[float, ...]]:
    """Yield the four numbers of one box, or those of several in a list."""
    if isinstance(value, Mapping):
        inner = [RawBox("", box.numbers, 0) for box in _of_object(value, "", 0)]
        yield from (box.numbers for box in inner if not box.is_point)
    elif isinstance(value, list) and (numbers := _four(value)):
        yield numbers
    elif (
        isinstance(value, list) and len(value) == 2 and all(isinstance(item, list) and len(item) == 2 for item in value)
    ):
        corners = _four([*value[0], *value[1]])
        if corners:
            yield corners
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, list) and (numbers := _four(item)):
                yield numbers


def _is_by_label(value: Mapping[str, Any]) -> bool:
    """Whether an object's keys are labels: each holds four numbers that can be corners, or lists of four."""
    found = [list(_all_fours(item)) if isinstance(item, list) else [] for item in value.values()]
    corners = [box for boxes in found for box in boxes]
    ordered = all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in corners)
    return bool(found) and all(found) and ordered and max(map(max, corners)) > _SMALL


def _four(values: Sequence[Any]) -> tuple[float, ...] | None:
    return _numbers(values) if len(values) == 4 else None


def _numbers(values: Sequence[Any]) -> tuple[float, ...] | None:
    """Return the values as numbers, strings of digits too; None if one of them is none."""
    found = []
    for value in values:
        if isinstance(value, str) and _NUMBERS.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            return None
        found.append(_clipped(value))
    return tuple(found)


def _floats(values: Sequence[str]) -> tuple[float, ...]:
    return tuple(_clipped(float(value[:40])) for value in values)


def _clipped(value: float) -> float:
    """Keep a number that no float holds, or no picture has, inside what can be computed with."""
    return float(min(max(value, -1e9), 1e9))

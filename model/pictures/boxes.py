"""Boxes that a model wrote, as pixels of the picture that was given. It looks at no picture.

Qwen3-VL writes corners in thousandths of the picture's width and height, whatever its size. Other models write pixels,
fractions of 1, or percent; which of them is meant is told by the numbers of one answer together. What cannot be a box
is a note, never a box without a size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model.pictures.box_forms import RawBox, find_raw_boxes

SCALE = 1000
"""Qwen3-VL's coordinates go from 0 to 1000."""
LOC_SCALE = 1024
"""Bins of PaliGemma's location tokens."""
OVER = 1.02
"""How far a pixel may lie outside of its picture, as a share of it, and still be a pixel: models round."""


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
    """Right edge in pixels, right of `x1` and inside the picture."""
    y2: int
    """Lower edge in pixels, below `y1`."""


@dataclass(frozen=True)
class BoxReading:
    """What was read of an answer's boxes."""

    boxes: list[GroundedBox]
    notes: list[str]
    """Places that are no boxes, in words."""


def parse_boxes(text: str, pictures: Sequence[tuple[int, int]]) -> list[GroundedBox]:
    """Return the boxes alone; see `read_boxes`."""
    return read_boxes(text, pictures).boxes


def read_boxes(text: str, pictures: Sequence[tuple[int, int]], *, wanted: bool = False) -> BoxReading:
    """Return the boxes that an answer names, and what it names that is none. Never raises.

    A box belongs to the picture of its own `image` key (from 0). Without that key the lists of an answer go to the
    pictures in order if there are as many lists as pictures, and else everything to the first picture. Complete
    objects of a list that was cut off are kept.

    Args:
        text: The answer.
        pictures: (width, height) of each picture, in pixels.
        wanted: Whether the question asked for places; see `find_raw_boxes`.
    """
    if not pictures:
        return BoxReading([], [])
    raw = find_raw_boxes(text, wanted=wanted)
    groups = sorted({one.group for one in raw})
    in_order = len(groups) == len(pictures)
    placed = [(one, _picture_of(one, groups.index(one.group) if in_order else 0, len(pictures))) for one in raw]
    scales = {number: _scale([one for one, at in placed if at == number], size) for number, size in enumerate(pictures)}
    boxes, notes = dict[GroundedBox, None](), list[str]()
    for one, number in placed:
        if number is None:
            notes.append(f"{_name(one)} is said to be in a picture that there is not")
            continue
        box = _pixels(one, number, pictures[number], scales[number])
        if isinstance(box, str):
            notes.append(box)
        else:
            boxes[box] = None
    return BoxReading(list(boxes), list(dict.fromkeys(notes)))


def _picture_of(one: RawBox, number: int, count: int) -> int | None:
    image = number if one.image is None else one.image
    return image if isinstance(image, int) and not isinstance(image, bool) and 0 <= image < count else None


def _scale(found: Sequence[RawBox], size: tuple[int, int]) -> tuple[float, float]:
    """Return what stands for the picture's whole width and height in the numbers of one answer."""
    numbers = [value for one in found if not one.unit for value in one.numbers]
    if numbers and all(0 <= value <= 1 for value in numbers) and any(value % 1 for value in numbers):
        return 1.0, 1.0
    xs = [value for one in found if not one.unit for value in one.numbers[::2]]
    ys = [value for one in found if not one.unit for value in one.numbers[1::2]]
    fit = all(max(values) <= OVER * edge for values, edge in zip((xs, ys), size, strict=True) if values)
    if numbers and max(numbers) > SCALE and fit:
        return float(size[0]), float(size[1])
    return float(SCALE), float(SCALE)


def _pixels(one: RawBox, image: int, size: tuple[int, int], scale: tuple[float, float]) -> GroundedBox | str:
    width, height = {"loc": (LOC_SCALE,) * 2, "percent": (100.0,) * 2}.get(one.unit, scale)
    xs = sorted(_pixel(value, size[0], width) for value in one.numbers[::2])
    ys = sorted(_pixel(value, size[1], height) for value in one.numbers[1::2])
    if one.is_point:
        return f"{_name(one)} was given as a point (x {xs[0]}, y {ys[0]}), which is no box"
    if xs[0] == xs[1] or ys[0] == ys[1]:
        return f"{_name(one)} was given without a width or height (x {xs[0]} to {xs[1]}, y {ys[0]} to {ys[1]})"
    return GroundedBox(" ".join(one.label.split()), image, xs[0], ys[0], xs[1], ys[1])


def _name(one: RawBox) -> str:
    return repr(one.label) if one.label else "something"


def _pixel(value: float, edge: int, scale: float) -> int:
    return round(min(max(value, 0.0), scale) * edge / scale)

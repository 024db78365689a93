"""From the answer's JSON to named values, and from proven values to boxes in the question's pictures."""

import json
from collections.abc import Iterator, Sequence

from graph.answer import Box, FieldValue
from model.pictures.picture import Picture

MOST_VALUES = 100


def values_of(text: str, fields: Sequence[str] = ()) -> list[tuple[str, str | None]]:
    """Return the values of a JSON object by their names, those of lists and inner objects one by one.

    Args:
        text: The answer; where it is no object its fields have no values.
        fields: That were asked for; none takes what there is.
    """
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = None
    found: dict[str, object] = read if isinstance(read, dict) else {}
    names = list(fields) or list(found)
    return [(name, value) for name in names for value in (*_texts(found.get(name)),) or (None,)][:MOST_VALUES]


def boxes_of(fields: Sequence[FieldValue], pictures: Sequence[Picture]) -> list[Box]:
    """Return a box in pixels of its picture for each field that agrees with words in one."""
    boxes = []
    for one in fields:
        place = next((n for n, picture in enumerate(pictures) if _is_in(one, picture)), None)
        if one.status != "agrees" or not one.regions or place is None:
            continue
        picture = pictures[place]
        wide, high = picture.size[0] / 1_000, picture.size[1] / 1_000
        x1, y1 = min(region.x1 for region in one.regions), min(region.y1 for region in one.regions)
        x2, y2 = max(region.x2 for region in one.regions), max(region.y2 for region in one.regions)
        left, top = int(x1 * wide), int(y1 * high)
        right, bottom = max(left + 1, round(x2 * wide)), max(top + 1, round(y2 * high))
        name = picture.path.name if picture.path is not None else ""
        boxes.append(Box(label=one.name, image=place, x1=left, y1=top, x2=right, y2=bottom, picture=name))
    return boxes


def _is_in(one: FieldValue, picture: Picture) -> bool:
    pages = picture.part.pages
    return one.source == picture.source and (pages is None or one.page is None or pages[0] == one.page)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    elif value is not None and str(value).strip():
        yield str(value)

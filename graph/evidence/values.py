"""From extracted values to the passages that hold them: the answer is JSON, which has no place for marks.

A value that no passage holds is named. It asks no model, and cannot tell a value that stands there for another reason.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from graph.answer import Passage
from graph.evidence.citations import MARK, NUMBER, SUPPORTED, Cited, citation_of, numbers_of
from retrieval.tokens import document_tokens, query_tokens

FEWEST_WORDS = 4
"""A value of fewer words must be held with all of them."""


def cite_values(draft: str, passages: Sequence[Passage], *, look_for: bool = True) -> Cited | None:
    """Look for each value of a JSON object in the passages; None if the draft is none.

    Args:
        draft: As the responder filled it in; marks like [1] at the end of a value are taken out and cited.
        passages: Numbered from 1 as the model saw them.
        look_for: Whether a value that no passage holds is named; not where a picture may be the source.
    """
    try:
        values = json.loads(draft)
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    places: list[int] = []
    unsupported: list[str] = []
    plain: dict[str, Any] = {}
    for name, value in values.items():
        plain[name], marked = _without_marks(value, len(passages))
        for text in _texts(plain[name]):
            place = _place(text, passages, marked)
            if place is not None:
                places.append(place)
            elif look_for:
                unsupported.append(f"{name}: {text}")
    text = draft if plain == values else json.dumps(plain, ensure_ascii=False)
    return Cited(text, [citation_of(passages[n]) for n in dict.fromkeys(places)], unsupported=unsupported)


def _without_marks(value: object, most: int) -> tuple[object, list[int]]:
    """Return a value without the marks at its end, and the passages that they name, counted from 0."""
    marked: list[int] = []
    while isinstance(value, str) and (found := list(MARK.finditer(value))) and found[-1].end() == len(value.rstrip()):
        numbers = list(numbers_of(found[-1][1]))
        if not value[: found[-1].start()].strip() or not all(1 <= number <= most for number in numbers):
            break
        value, marked = value[: found[-1].start()].rstrip(), [*(n - 1 for n in numbers), *marked]
    return value, marked


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
    elif value is not None and str(value).strip():
        yield str(value)


def _place(value: str, passages: Sequence[Passage], marked: Sequence[int]) -> int | None:
    """Return the passage, from 0, that holds a value best: as it is, or its words; of equal ones that of its mark."""
    shares = [_share(value, passage.text) for passage in passages]
    best = max(range(len(passages)), key=lambda n: (shares[n], n in marked, -n), default=None)
    return best if best is not None and shares[best] else None


def _share(value: str, text: str) -> float:
    """Return how much of a value stands in a text, 0 where that is too little, 2 where it stands there as it is."""
    numbers, wanted = set(NUMBER.findall(value)), set(query_tokens(value)) or set(document_tokens(value))
    if not numbers <= set(NUMBER.findall(text)):
        return 0.0
    there = " ".join(value.split()).casefold() in " ".join(text.split()).casefold()
    held = len(wanted & set(document_tokens(text))) / len(wanted) if wanted else float(there)
    if held < (1.0 if len(wanted) < FEWEST_WORDS else SUPPORTED):
        return 0.0
    return 2.0 if there else held

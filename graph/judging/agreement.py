"""Whether two answers to one question say the same, as far as code can tell: what a reviewer saw against the draft.

It finds contradictions, not proofs: yes against no, numbers, boxes, colours, and short answers that share no word. Two
long answers that it cannot compare do not contradict each other. It asks no model.
"""

import json
import re
from collections.abc import Sequence

from model.pictures.boxes import GroundedBox, parse_boxes
from retrieval.tokens import query_tokens

BOX_IOU = 0.5
SHORT_WORDS = 4
"""Answers of up to so many words are compared as a whole."""

_YES = re.compile(r"^\W*(?:(?:yes|yeah|correct|true|是的?|对)(?![\w一-鿿])|有)", re.IGNORECASE)
_NO = re.compile(r"^\W*(?:no|nope|not|false|incorrect|不是|不|否|没有|没)(?![a-z])", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*")
_WORDS = {
    word: str(number)
    for number, words in enumerate(
        (
            ("zero", "none", "零"), ("one", "一"), ("two", "二", "两"), ("three", "三"), ("four", "四"), ("five", "五"),
            ("six", "六"), ("seven", "七"), ("eight", "八"), ("nine", "九"), ("ten", "十"), ("eleven", "十一"),
            ("twelve", "十二"),
        )
    )
    for word in words
}  # fmt: skip
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(w for w in _WORDS if w.isascii())})\b", re.IGNORECASE)
_CHINESE_NUMBER = re.compile("十[一二]|[零一二两三四五六七八九十](?=[个只张条本块枚颗辆位名种])")
_COLOURS = {
    colour: names[0]
    for names in (
        ("red", "红"), ("green", "绿"), ("blue", "蓝"), ("yellow", "黄"), ("orange", "橙"), ("purple", "violet", "紫"),
        ("pink", "粉"), ("brown", "棕", "褐"), ("black", "黑"), ("white", "白"), ("grey", "gray", "灰"),
        ("cyan", "青"), ("gold", "golden", "金"), ("silver", "银"),
    )
    for colour in names
}  # fmt: skip
_COLOUR = re.compile(
    rf"\b(?:{'|'.join(c for c in _COLOURS if c.isascii())})\b|[{''.join(c for c in _COLOURS if not c.isascii())}]",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^\W*(?:i(?:'m| am)? (?:sorry|unable|not able|can(?:no|')t)|sorry|i cannot|(?:as an|i am an) ai\b"
    r"|抱歉|对不起|我无法|我不能)",
    re.IGNORECASE,
)


def says_nothing(draft: str) -> bool:
    """Return whether there is nothing in a draft that could be right: it is empty, an empty list, or a refusal."""
    text = draft.strip().strip("`").removeprefix("json").strip()
    try:
        empty = not json.loads(text)
    except ValueError:
        empty = not text
    return (empty and text != "0" and text != "false") or _REFUSAL.match(text) is not None


def contradiction(draft: str, seen: str) -> str | None:
    """Return in what two answers to the same question contradict each other, in one word; None if in nothing.

    Args:
        draft: The answer that is judged.
        seen: The answer of the second look, often shorter.
    """
    if not seen.strip() or not draft.strip():
        return None
    boxes = [parse_boxes(text, [(1000, 1000)]) for text in (draft, seen)]
    if all(boxes):
        return None if _same_boxes(boxes[0], boxes[1]) else "place"
    if any(boxes):
        return None  # a place against words: nothing to compare
    if _polarity(draft) and _polarity(seen):
        return None if _polarity(draft) == _polarity(seen) else "yes or no"
    numbers = [_numbers(text) for text in (draft, seen)]
    if all(numbers):
        return None if numbers[0] & numbers[1] else "number"
    colours = [{_COLOURS[colour.lower()] for colour in _COLOUR.findall(text)} for text in (draft, seen)]
    if all(colours) and not colours[0] & colours[1]:
        return "colour"
    words = [set(query_tokens(text)) for text in (draft, seen)]
    if all(0 < len(found) <= SHORT_WORDS for found in words) and not words[0] & words[1]:
        return "words"
    return None


def same_answer(first: str, second: str) -> bool:
    """Return whether two answers of one model are equal but for case, blanks and the last full stop."""
    plain = [" ".join(text.casefold().split()).rstrip(".。") for text in (first, second)]
    boxes = [parse_boxes(text, [(1000, 1000)]) for text in (first, second)]
    return _same_boxes(boxes[0], boxes[1]) if all(boxes) else plain[0] == plain[1]


def _polarity(text: str) -> str:
    return "yes" if _YES.match(text) else "no" if _NO.match(text) else ""


def _numbers(text: str) -> set[str]:
    digits = {number.replace(",", "") for number in _NUMBER.findall(text)}
    words = {_WORDS[word.lower()] for word in _NUMBER_WORD.findall(text)}
    return digits | words | {_WORDS[word] for word in _CHINESE_NUMBER.findall(text)}


def _same_boxes(first: Sequence[GroundedBox], second: Sequence[GroundedBox]) -> bool:
    """Whether every box of the shorter list lies over one of the other."""
    few, many = sorted((first, second), key=len)
    return all(any(_iou(box, other) >= BOX_IOU for other in many) for box in few)


def _iou(a: GroundedBox, b: GroundedBox) -> float:
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both)

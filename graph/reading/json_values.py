"""JSON in what models write: between fences, between words, in Python's spelling, or cut off. It asks nobody."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_core.utils.json import parse_partial_json

MOST_CHARS = 20_000  # of a decision; the repair of a cut text takes a time that grows with the square
_FENCE = re.compile(r"```[\w-]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_BRACKET = re.compile(r"[\[{]")
_TRAILING_COMMA = re.compile(r",(\s*[\]}])")
_BARE_KEY = re.compile(r"([{,]\s*)([A-Za-z_]\w*)(\s*:)")
_PUNCTUATION = str.maketrans({"“": '"', "”": '"', ",": ",", ":": ":"})


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists of a text that can be read, the likeliest first.

    Whole ones come before repaired ones, and what stands between fences before the rest.
    """
    text = text[:MOST_CHARS]
    places = [*(found[1].strip() for found in _FENCE.finditer(text)), text.strip()]
    for place in places:
        yield from _whole(place)
    for place in places:
        yield from _repaired(place)


def _whole(text: str) -> Iterator[Any]:
    """Yield the values that begin at a bracket and parse as they stand, the outermost alone."""
    decoder, at = json.JSONDecoder(strict=False), 0
    while bracket := _BRACKET.search(text, at):
        at = bracket.start()
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict | list):
            yield value


def _repaired(text: str) -> Iterator[Any]:
    """Yield what the first object becomes with its commas, quotes and keys mended, or its end added."""
    start = text.find("{")
    if start < 0:
        return
    end = text.rfind("}") + 1
    body = text[start:end] if end > start else text[start:]
    for spelling in (body, body.translate(_PUNCTUATION)):
        mended = _BARE_KEY.sub(r'\1"\2"\3', _TRAILING_COMMA.sub(r"\1", spelling))
        for parse in (_loads, _literal):
            value = parse(mended)
            if isinstance(value, dict):
                yield value
    for cut in (text[start:], text[start:].translate(_PUNCTUATION)):
        try:
            value = parse_partial_json(_TRAILING_COMMA.sub(r"\1", cut))
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value:
            yield value


def _loads(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _literal(text: str) -> Any:
    """Read Python's spelling: single quotes, True, None."""
    text = re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", re.sub(r"\bnull\b", "None", text)))
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None

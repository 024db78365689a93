"""How long the end of a document can be at most, from any place in it. It knows no grammar and no tokens."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

NUMBER_BYTES = 24
"""A sign, 13 digits, a point and 6 more digits, with room; `bounded` gives every number these limits."""
CHARACTER_BYTES = 6  # of the widest character, or of an escape


def closing_bound(schema: Mapping[str, Any]) -> int | None:
    """Return the most bytes that can be wanting at the end of a begun document; None where the schema cannot tell.

    A token holds at least one byte, so that it bounds tokens too. It counts every property of an object and one begun
    item of a list, whatever is there already.

    Args:
        schema: What `model.qwen3_vl.bounded_schema.bounded` returned.
    """
    if "anyOf" in schema:
        return _most(closing_bound(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return max(CHARACTER_BYTES * len(json.dumps(value, ensure_ascii=False)) for value in values)
    match schema.get("type"):
        case "object":
            return _object(schema["properties"])
        case "array":
            return _array(schema)
        case "string" if "pattern" in schema or "format" in schema:
            return None
        case "string":
            return 2 + CHARACTER_BYTES * (schema.get("minLength", 0) + 1)
        case "integer" | "number":
            wide = [str(schema[key]) for key in _LIMITS if key in schema]
            return max(NUMBER_BYTES, *(2 * len(limit) for limit in wide)) if wide else NUMBER_BYTES
        case _:
            return len("false")


_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def _object(properties: Mapping[str, Any]) -> int | None:
    whole = 2
    for key, value in properties.items():
        inside = closing_bound(value)
        if inside is None:
            return None
        whole += CHARACTER_BYTES * len(json.dumps(key, ensure_ascii=False)) + 2 + inside
    return whole


def _array(schema: Mapping[str, Any]) -> int | None:
    if "prefixItems" in schema:
        items = [closing_bound(item) for item in schema["prefixItems"]]
        return None if None in items else 2 + sum(1 + (item or 0) for item in items)
    item = closing_bound(schema["items"])
    return None if item is None else 2 + max(schema["minItems"], 1) * (item + 1)


def _most(bounds: Iterable[int | None]) -> int | None:
    known = 0
    for bound in bounds:
        if bound is None:
            return None
        known = max(known, bound)
    return known

"""A JSON schema with every part bounded, so that writing it must end. It knows no grammar and no model."""

from collections.abc import Mapping
from typing import Any

from model.call_options import UnsupportedSchema

MAX_STRING_CHARS = 256
MAX_ITEMS = 8
MAX_NUMBER = 10**12
_NUMBER_STEP = 1e-6
_KEPT = ("title", "description", "default", "examples")


def bounded(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the schema with its references resolved, further keys forbidden and every length limited.

    Strings get at most `MAX_STRING_CHARS` characters, lists `MAX_ITEMS` items and numbers 12 digits before
    and 6 after the point, where the schema itself does not say.

    Raises:
        UnsupportedSchema: It refers to itself, or a part may hold anything.
    """
    return _Bounds(name, schema.get("$defs", {})).node(schema, ())


class _Bounds:
    """Walks one schema; `path` holds the references on the way, to notice a circle."""

    def __init__(self, name: str, definitions: Mapping[str, Any]) -> None:
        self._name = name
        self._definitions = definitions

    def node(self, node: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            raise self._unsupported("a part of it may hold anything; name its type")
        if "$ref" in node:
            return self._reference(node["$ref"], path)
        for key in ("anyOf", "oneOf"):
            if key in node:
                # pydantic's unions: oneOf comes with a discriminator, so its options exclude each other.
                return {"anyOf": [self.node(option, path) for option in node[key]]}
        if len(node.get("allOf", ())) == 1:
            return self.node(node["allOf"][0], path)
        if "enum" in node or "const" in node:
            return {key: node[key] for key in ("type", "enum", "const") if key in node}
        return self._typed(node, path)

    def _typed(self, node: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        match node.get("type"):
            case "object":
                return self._object(node, path)
            case "array":
                return self._array(node, path)
            case "string":
                return self._string(node)
            case "integer" | "number":
                return self._number(node)
            case "boolean" | "null" as kind:
                return {"type": kind}
            case kind:
                raise self._unsupported(f"a part of it has the type {kind!r}; use one of pydantic's plain types")

    def _reference(self, reference: str, path: tuple[str, ...]) -> dict[str, Any]:
        key = reference.removeprefix("#/$defs/")
        if key in path:
            raise self._unsupported(
                f"{key!r} contains itself, so that an answer need not end; use a list of fixed depth"
            )
        if key not in self._definitions:
            raise self._unsupported(f"the reference {reference!r} leads nowhere; define it under $defs")
        return self.node(self._definitions[key], (*path, key))

    def _object(self, node: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        if node.get("additionalProperties") not in (None, False, True) or "properties" not in node:
            raise self._unsupported("it has an object with free keys; use a list of objects with a key and a value")
        properties = {key: self.node(value, path) for key, value in node["properties"].items()}
        required = [key for key in properties if key in node.get("required", ())]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def _array(self, node: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {"type": "array", "minItems": node.get("minItems", 0)}
        if "prefixItems" in node:
            result["prefixItems"] = [self.node(item, path) for item in node["prefixItems"]]
            result["items"] = False
            result["minItems"] = result["maxItems"] = len(result["prefixItems"])
            return result
        if "uniqueItems" in node:
            raise self._unsupported("a set cannot be kept free of repetitions while it is written; use a list")
        result["items"] = self.node(node.get("items"), path)
        result["maxItems"] = node.get("maxItems", max(MAX_ITEMS, result["minItems"]))
        return result

    def _string(self, node: Mapping[str, Any]) -> dict[str, Any]:
        result = {key: value for key, value in node.items() if key not in _KEPT}
        if "format" not in node:  # a format has its own grammar, with which a length does not go together
            result.setdefault("maxLength", max(MAX_STRING_CHARS, node.get("minLength", 0)))
        return result

    def _number(self, node: Mapping[str, Any]) -> dict[str, Any]:
        result = {key: value for key, value in node.items() if key not in _KEPT}
        if "minimum" not in node and "exclusiveMinimum" not in node:
            result["minimum"] = min(-MAX_NUMBER, node.get("maximum", 0), node.get("exclusiveMaximum", 0) - 1)
        if "maximum" not in node and "exclusiveMaximum" not in node:
            result["maximum"] = max(MAX_NUMBER, node.get("minimum", 0), node.get("exclusiveMinimum", 0) + 1)
        if node["type"] == "number":
            result.setdefault("multipleOf", _NUMBER_STEP)
        return result

    def _unsupported(self, reason: str) -> UnsupportedSchema:
        return UnsupportedSchema(self._name, reason)

"""A JSON schema as the grammar that OpenVINO GenAI's engine (xgrammar) rules the answer by.

Its own reading of a JSON schema allows any amount of white space, in which a model can lose itself; the grammar here
allows none. What a grammar does not hold, a pattern or a bound of a number, is checked afterwards by who asked.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from model.call_options import UnsupportedSchema
from model.qwen3_vl.bounded_schema import MAX_STRING_CHARS, bounded

LISTED = 100
"""Integers of so narrow a range are listed, so that none outside it can be written."""
_COMMON = r"""string_char ::= [^"\\\x00-\x1f] | "\\" ["\\/bfnrt]
digits ::= "0" | [1-9] [0-9]{0,11}
"""


def json_grammar(schema: Mapping[str, Any], name: str) -> str:
    """Return the schema as EBNF: compact JSON, keys in their order, every length bounded.

    Raises:
        UnsupportedSchema: It refers to itself, or a part may hold anything.
    """
    rules = _Rules(name)
    root = rules.rule(bounded(schema, name))
    return f"root ::= {root}\n{''.join(rules.lines)}{_COMMON}"


class _Rules:
    """The rules of one schema; a part is given as the name of its rule or as an expression."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.lines: list[str] = []

    def rule(self, node: Mapping[str, Any]) -> str:
        """Return what stands for a part."""
        if "anyOf" in node:
            return self._named(" | ".join(self.rule(option) for option in node["anyOf"]))
        if "enum" in node:
            return self._named(" | ".join(_literal(_compact(value)) for value in node["enum"]))
        if "const" in node:
            return _literal(_compact(node["const"]))
        match node.get("type"):
            case "object":
                return self._object(node)
            case "array":
                return self._array(node)
            case kind:
                return self._plain(node, kind)

    def _plain(self, node: Mapping[str, Any], kind: object) -> str:
        match kind:
            case "string":
                # A string with a format has no length of its own.
                times = f"{{{node.get('minLength', 0)},{node.get('maxLength', MAX_STRING_CHARS)}}}"
                return self._named(f'"\\"" string_char{times} "\\""')
            case "integer":
                return self._integer(node)
            case "number":
                return self._named(f'{_sign(node)} digits ("." [0-9]{{1,6}})?')
            case "boolean":
                return self._named('"true" | "false"')
            case "null":
                return '"null"'
        raise UnsupportedSchema(self._name, f"a part of it has the type {kind!r}; use a plain one")

    def _object(self, node: Mapping[str, Any]) -> str:
        keys = list(node["properties"])
        parts = [f"{_literal(_compact(key) + ':')} {self.rule(node['properties'][key])}" for key in keys]
        needed = [key in node["required"] for key in keys]
        return self._named(f'"{{" {self._members(parts, needed, first=True)} "}}"')

    def _members(self, parts: Sequence[str], needed: Sequence[bool], *, first: bool) -> str:
        """Return the members that are left; only before the first one stands no comma."""
        if not parts:
            return '""'
        comma = "" if first else '"," '
        taken = f"{comma}{parts[0]} {self._members(parts[1:], needed[1:], first=False)}"
        if needed[0]:
            return taken
        return self._named(f"{taken} | {self._members(parts[1:], needed[1:], first=first)}")

    def _array(self, node: Mapping[str, Any]) -> str:
        least, most = node["minItems"], node["maxItems"]
        if "prefixItems" in node:
            items = f" {_literal(',')} ".join(self.rule(item) for item in node["prefixItems"])
            return self._named(f'"[" {items} "]"')
        if most == 0:
            return '"[]"'
        item = self.rule(node["items"])
        some = f'{item} ("," {item}){{{max(least - 1, 0)},{most - 1}}}'
        return self._named(f'"[" {some} "]"' if least else f'"[" ({some})? "]"')

    def _integer(self, node: Mapping[str, Any]) -> str:
        least = node.get("minimum", node.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in node else None)
        most = node.get("maximum", node.get("exclusiveMaximum", 0) - 1 if "exclusiveMaximum" in node else None)
        if least is not None and most is not None and 0 <= most - least < LISTED:
            return self._named(" | ".join(_literal(str(value)) for value in range(int(least), int(most) + 1)))
        return self._named(f"{_sign(node)} digits")

    def _named(self, expression: str) -> str:
        name = f"part_{len(self.lines)}"
        self.lines.append(f"{name} ::= {expression}\n")
        return name


def _sign(node: Mapping[str, Any]) -> str:
    return '""' if node.get("minimum", node.get("exclusiveMinimum", -1)) >= 0 else '"-"?'


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _literal(text: str) -> str:
    """Return the text in the grammar's quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'

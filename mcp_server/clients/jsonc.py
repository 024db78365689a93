"""Sets or removes one member of a JSON text in place; comments, order and spacing of everything else stay.

It knows objects within objects and nothing of files or clients.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_END = re.compile(r"[ \t]*\r?\n")
_COMMENTS = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMAS = re.compile(r'"(?:[^"\\\n]|\\.)*"|(?<![{\[,:\s])(\s*),(?=\s*[}\]])', re.DOTALL)


class NotJson(ValueError):
    """The text is no JSON object, or one that cannot be edited without a guess."""


@dataclass(frozen=True)
class _Member:
    """A key with its value, by their places in the text."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class _Object:
    """An object from its `{` at `start` to its `}` at `close`."""

    start: int
    close: int
    members: list[_Member]


class JsonText:
    """A JSON text that can be read and edited.

    Args:
        text: The whole text; one of nothing but spaces counts as an empty object.
        comments: Whether the text's owner accepts comments and trailing commas.

    Raises:
        NotJson: It is no JSON object.
    """

    def __init__(self, text: str, *, comments: bool) -> None:
        self._text = text if text.strip() else "{}\n"
        # Both have every character of the text at its own place: first without comments, then strict JSON.
        self._bare = _COMMENTS.sub(_blank_comment, self._text) if comments else self._text
        self._strict = _TRAILING_COMMAS.sub(_blank_comma, self._bare) if comments else self._text
        try:
            value = json.loads(self._strict)
        except RecursionError:
            raise NotJson("it is nested too deep") from None
        except json.JSONDecodeError as error:
            raise NotJson(f"line {error.lineno} is not valid JSON ({error.msg[:1].lower()}{error.msg[1:]})") from None
        if not isinstance(value, dict):
            raise NotJson("it holds no JSON object")
        self.value: dict[str, Any] = value
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def set(self, outer: str, name: str, value: Mapping[str, Any]) -> str:
        """Return the text in which `outer` holds `name` with the value; either is made where it is missing."""
        root = self._object(_skip(self._strict, 0))
        unit = self._unit(root)
        found = self._find(root, outer)
        if found is None:
            return self._append(root, outer, {name: value}, unit)
        container = self._container(found)
        member = self._find(container, name)
        if member is None:
            return self._append(container, name, value, unit)
        shown = self._render(value, unit, self._line_indent(member.start))
        return self._text[: member.value] + shown + self._text[member.end :]

    def remove(self, outer: str, name: str) -> str:
        """Return the text without that member of `outer`, and without the comma and line that it needed."""
        root = self._object(_skip(self._strict, 0))
        found = self._find(root, outer)
        container = self._container(found) if found else None
        member = self._find(container, name) if container else None
        if container is None or member is None:
            return self._text
        text, at = self._text, container.members.index(member)
        begin = container.start + 1 + len(text[container.start + 1 : member.start].rstrip())
        after = self._comma(member.end)
        end = member.end if after is None else after + 1
        rest = text[end:]
        if self._ends_in_line_comment(container.start, begin) and not _LINE_END.match(rest):
            rest = self._newline + rest  # or it would belong to the comment
        if after is not None or at == 0:
            return self._closed(container, text[:begin] + rest)
        before = self._comma(container.members[at - 1].end)
        assert before is not None, "two members have a comma between them"
        return text[:before] + text[before + 1 : begin] + rest

    def _ends_in_line_comment(self, start: int, end: int) -> bool:
        if self._bare[end - 1] == self._text[end - 1]:
            return False
        *_, last = _COMMENTS.finditer(self._text, start, end)
        return last.group().startswith("//")

    @staticmethod
    def _closed(container: _Object, text: str) -> str:
        """Close an object up that has nothing left in it, not even a comment."""
        rest = text[container.start + 1 :]
        return text[: container.start + 1] + rest.lstrip() if rest.lstrip().startswith("}") else text

    def _append(self, target: _Object, key: str, value: Mapping[str, Any], unit: str) -> str:
        text, newline = self._text, self._newline
        outer_indent = self._line_indent(target.start)
        if not target.members:
            indent = outer_indent + unit
            inner = text[target.start + 1 : target.close].rstrip()
            member = f"{newline}{indent}{self._member(key, value, unit, indent)}{newline}{outer_indent}"
            return text[: target.start + 1] + inner + member + text[target.close :]
        last = target.members[-1]
        end = last.end + len(text[last.end : target.close].rstrip())  # behind a last comma and comments
        has_comma = self._comma(last.end) is not None
        if "\n" in text[target.start : target.close]:
            own_line = not text[text.rfind("\n", 0, target.members[0].start) + 1 : target.members[0].start].strip()
            indent = self._line_indent(target.members[0].start) if own_line else outer_indent + unit
            member = f"{newline}{indent}{self._member(key, value, unit, indent)}"
        else:
            member = f" {json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
        before = text[: last.end] + ("" if has_comma else ",") + text[last.end : end]
        return before + member + ("," if has_comma else "") + text[end:]

    def _member(self, key: str, value: Mapping[str, Any], unit: str, indent: str) -> str:
        return f"{json.dumps(key, ensure_ascii=False)}: {self._render(value, unit, indent)}"

    def _render(self, value: Mapping[str, Any], unit: str, indent: str) -> str:
        return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", self._newline + indent)

    def _line_indent(self, place: int) -> str:
        line = self._text[self._text.rfind("\n", 0, place) + 1 : place]
        return line[: len(line) - len(line.lstrip())]

    def _unit(self, root: _Object) -> str:
        """What one level is indented by, as the first member shows it."""
        if not root.members:
            return "  "
        first = root.members[0].start
        line = self._text[self._text.rfind("\n", 0, first) + 1 : first]
        return line if line and not line.strip() else "  "

    def _comma(self, place: int) -> int | None:
        """Where the comma behind a value stands, be it a trailing one."""
        at = _skip(self._bare, place)
        return at if self._bare[at] == "," else None

    def _container(self, member: _Member) -> _Object:
        if self._strict[member.value] != "{":
            raise NotJson(f"its {member.key!r} is no object")
        return self._object(member.value)

    @staticmethod
    def _find(target: _Object, key: str) -> _Member | None:
        found = [member for member in target.members if member.key == key]
        if len(found) > 1:
            raise NotJson(f"it has {key!r} more than once")
        return found[0] if found else None

    def _object(self, start: int) -> _Object:
        """Read the object that begins at `start`; the text is known to be valid."""
        text, members, decoder = self._strict, [], json.JSONDecoder()
        at = _skip(text, start + 1)
        while text[at] != "}":
            key, colon = decoder.raw_decode(text, at)
            colon = _skip(text, colon)
            value = _skip(text, colon + 1)
            _, end = decoder.raw_decode(text, value)
            members.append(_Member(key, at, value, end))
            at = _skip(text, end)
            if text[at] == ",":
                at = _skip(text, at + 1)
        return _Object(start, at, members)


def _skip(text: str, place: int) -> int:
    """Return the place behind the spaces that begin at `place`."""
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _blank_comment(found: re.Match[str]) -> str:
    piece = found.group()
    return piece if piece.startswith('"') else re.sub(r"[^\r\n]", " ", piece)


def _blank_comma(found: re.Match[str]) -> str:
    return found.group() if found.group(1) is None else f"{found.group(1)} "

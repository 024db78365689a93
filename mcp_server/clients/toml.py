"""Sets or removes one table of a TOML text in place; comments, order and spacing of everything else stay.

It edits tables that have a `[header]` of their own, as people and programs write them, and refuses other forms.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_TOKENS = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|" r"\#[^\r\n]*|[\[\]{}\n]",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_UNUSUAL = "is written as part of another line; give it a [header] of its own, or remove it by hand"


class NotToml(ValueError):
    """The text is no TOML, or has the table in a form that is not edited."""


@dataclass(frozen=True)
class _Section:
    """A `[header]` with its lines, up to where the last of its values ends."""

    path: tuple[str, ...]
    start: int
    end: int


class TomlText:
    """A TOML text that can be read and edited.

    Raises:
        NotToml: It is no TOML.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.value = _parse(text)
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def set(self, outer: str, name: str, value: Mapping[str, Any]) -> str:
        """Return the text in which `[outer.name]` holds the value; a new table stands at the end."""
        lines = [f"[{_key(outer)}.{_key(name)}]", *(f"{_key(key)} = {_value(item)}" for key, item in value.items())]
        table = self._newline.join(lines) + self._newline
        sections = self._sections((outer, name))
        if sections:
            text = self._text
            for section in reversed(sections[1:]):
                text = _without(text, section)
            return self._checked(text[: sections[0].start] + table + text[sections[0].end :])
        if name in self._tables(outer):
            raise NotToml(f"'{outer}.{name}' {_UNUSUAL}")
        text = self._text
        if text and not text.endswith("\n"):
            text += self._newline
        return self._checked(text + (self._newline if text else "") + table)

    def remove(self, outer: str, name: str) -> str:
        """Return the text without `[outer.name]` and the tables below it; comments behind them stay."""
        if name not in self._tables(outer):
            return self._text
        text = self._text
        for section in reversed(self._sections((outer, name))):
            text = _without(text, section)
        if name in TomlText(text)._tables(outer):
            raise NotToml(f"'{outer}.{name}' {_UNUSUAL}")
        return text

    def _tables(self, outer: str) -> Mapping[str, Any]:
        tables = self.value.get(outer, {})
        return tables if isinstance(tables, dict) else {}

    @staticmethod
    def _checked(text: str) -> str:
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise NotToml(f"its table cannot be extended ({error})") from None
        return text

    def _sections(self, path: tuple[str, str]) -> list[_Section]:
        """Return the table and those below it, in the order of the text."""
        text, bare = self._text, list(self._text)
        depth, headers = 0, []
        for token in _TOKENS.finditer(text):
            sign = token.group()
            if sign.startswith("#"):
                bare[token.start() : token.end()] = " " * len(sign)
            elif sign in "[{":
                begin = text.rfind("\n", 0, token.start()) + 1
                if depth == 0 and sign == "[" and not text[begin : token.start()].strip():
                    headers.append(begin)
                depth += 1
            elif sign in "]}":
                depth -= 1
        values = "".join(bare)
        found = []
        for start, following in pairwise([*headers, len(text)]):
            header = _header(text[start : _line_end(text, start)])
            if header[:2] == path:
                last = start + len(values[start:following].rstrip())
                found.append(_Section(header, start, _line_end(text, last)))
        return found


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(f"it is not valid TOML ({str(error)[:1].lower()}{str(error)[1:]})") from None
    except RecursionError:
        raise NotToml("it is nested too deep") from None


def _header(line: str) -> tuple[str, ...]:
    value: Any = tomllib.loads(line)
    path: list[str] = []
    while isinstance(value, dict) and value:
        ((key, value),) = value.items()
        path.append(key)
    return tuple(path)


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def _without(text: str, section: _Section) -> str:
    """Cut the section out, with the empty line that set it off."""
    before = text[: section.start]
    for empty in ("\r\n", "\n"):
        if before.endswith("\n" + empty) or before == empty:
            before = before.removesuffix(empty)
            break
    return before + text[section.end :]


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's strings are TOML's but for DEL


def _value(value: Any) -> str:
    """Write a value as TOML, inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(item)}' for key, item in value.items())} }}" if value else "{}"
    return str(value)  # numbers; dates are written as they are read

"""One table of a TOML text is set or removed; every other character stays where it was."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.clients.toml import NotToml, TomlText

ENTRY = {"command": "/opt/ü/l", "args": ["serve", '"a"\\\x7f\n'], "env": {"A B": "c"}, "n": 30, "f": 1.5, "on": True}
TEXT = '''# mine
model = "x" # the best
args = [
  "[mcp_servers.lorgnette]", # [no]
  ["x"],
]
text = """
[mcp_servers.lorgnette]
"""

[mcp_servers.other]
command = "o"

[mcp_servers.other.env]
A = "b"

# what profiles are
[profiles.x]
y = 1
'''


def test_a_table_is_added_at_the_end_and_goes_without_a_trace() -> None:
    added = TomlText(TEXT).set("mcp_servers", "lorgnette", ENTRY)
    assert added.startswith(TEXT + "\n[mcp_servers.lorgnette]\n")
    expected = tomllib.loads(TEXT)
    expected["mcp_servers"]["lorgnette"] = ENTRY
    assert tomllib.loads(added) == expected
    assert TomlText(added).remove("mcp_servers", "lorgnette") == TEXT


def test_comments_behind_a_removed_table_stay_and_its_own_go() -> None:
    text = TEXT.replace(
        "\n# what",
        '\n[mcp_servers."lorgnette"]\n# ours\ncommand = "l"\n\n[mcp_servers.lorgnette.env]\nQ = 1 # q\n\n# what',
    )
    assert TomlText(text).value["mcp_servers"]["lorgnette"] == {"command": "l", "env": {"Q": 1}}
    assert TomlText(text).remove("mcp_servers", "lorgnette") == TEXT


def test_a_table_is_replaced_where_it_stands() -> None:
    text = "[a.b]\nx = [\n 1,\n]\n\n[a.b.c]\ny = 2\n\n# next\n[d]\n"
    assert TomlText(text).set("a", "b", {"z": {}}) == "[a.b]\nz = {}\n\n# next\n[d]\n"


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    assert TomlText("a = 1\r\n").set("s", "l", {"x": 1}) == "a = 1\r\n\r\n[s.l]\r\nx = 1\r\n"
    assert TomlText("a = 1").set("s", "l", {"x": 1}) == "a = 1\n\n[s.l]\nx = 1\n"
    assert TomlText("").set("s", "l", {"x": 1}) == "[s.l]\nx = 1\n"
    for text in ("a = 1\r\n", "a = 1\n", ""):
        assert TomlText(TomlText(text).set("s", "l", {"x": 1})).remove("s", "l") == text


@pytest.mark.parametrize("text", ["s.l.x = 1\n", "s = { l = { x = 1 } }\n", "[s]\nl = { x = 1 }\n", "[s]\nl.x = 1\n"])
def test_forms_without_a_header_are_refused_and_not_broken(text: str) -> None:
    with pytest.raises(NotToml, match="remove it by hand"):
        TomlText(text).set("s", "l", {"x": 2})
    with pytest.raises(NotToml, match="remove it by hand"):
        TomlText(text).remove("s", "l")
    assert TomlText(text).remove("s", "other") == text


def test_a_table_that_cannot_be_extended_is_refused() -> None:
    with pytest.raises(NotToml, match="cannot be extended"):
        TomlText("s = {}\n").set("s", "l", {"x": 1})


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(NotToml, match="line 2"):
        TomlText("a = 1\nb = \n")


PIECES = st.sampled_from(
    [
        "# [mcp_servers.lorgnette]\n", "\n", "[[list]]\nx = 1\n", "[list2]\ny = '''\n[a.b]\n''''\n", "[q.\"r]\"]\n",
        "[mcp_servers.a]\nargs = [ # c\n[1],\n]\n",
        "[mcp_servers.b.env]\nA = {b = ']'}\n", "  [indented]\n\tz = \"\\\"[\"\n",
        "[end]#\nd = 1979-05-27T07:32:00Z\n",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=6, unique=True), st.lists(PIECES, max_size=3, unique=True))
def test_any_text_means_the_same_but_for_the_table(before: list[str], after: list[str]) -> None:
    text = "".join([*before, *(piece for piece in after if piece not in before)])
    value: dict[str, Any] = tomllib.loads(text)
    new = TomlText(text).set("mcp_servers", "lorgnette", ENTRY)
    assert tomllib.loads(new) == {**value, "mcp_servers": {**value.get("mcp_servers", {}), "lorgnette": ENTRY}}
    assert TomlText(new).remove("mcp_servers", "lorgnette") == text

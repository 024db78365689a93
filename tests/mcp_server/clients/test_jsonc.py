"""One member of a JSON text is set or removed; every other character stays where it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.clients.jsonc import JsonText, NotJson

ENTRY = {"command": "/opt/ü/lorgnette", "args": ["serve", "--root", "C:\\Pictures"]}
COMMENTED = """// the servers of this project
{
    // remote ones first
    "servers": {
        "other": {"url": "https://example.org//x", }, // keep /* this */
        /* "old": {}, */
    },
    "inputs": [] // none
}
"""
SET = """// the servers of this project
{
    // remote ones first
    "servers": {
        "other": {"url": "https://example.org//x", }, // keep /* this */
        /* "old": {}, */
        "lorgnette": {
            "command": "l"
        },
    },
    "inputs": [] // none
}
"""


def test_an_entry_is_added_behind_the_others_in_the_style_of_the_file() -> None:
    assert JsonText(COMMENTED, comments=True).set("servers", "lorgnette", {"command": "l"}) == SET


def test_removing_what_was_added_gives_the_old_text_back() -> None:
    assert JsonText(SET, comments=True).remove("servers", "lorgnette") == COMMENTED


@pytest.mark.parametrize(
    "text",
    [
        '{"servers": {"a": 1}, "z": [1, 2]}',
        '{\n  "servers": {\n    "a": {},\n    "b": {}\n  }\n}\n',
        '{\r\n\t"z": 1,\r\n\t"servers": {\r\n\t\t"a": {}\r\n\t}\r\n}',
        '{"servers": {\n"a": {"servers": {"lorgnette": 1}} // the last one\n}}',
        '{"a": "}{,", "servers": {"lorgnette2": 1 /* , */ , /* x */}}',
    ],
)
def test_an_entry_comes_and_goes_without_a_trace(text: str) -> None:
    added = JsonText(text, comments=True).set("servers", "lorgnette", ENTRY)
    assert JsonText(added, comments=True).value["servers"]["lorgnette"] == ENTRY
    assert ("\r\n" in added) == ("\r\n" in text) and added.count("\r") == added.count("\r\n")
    assert JsonText(added, comments=True).remove("servers", "lorgnette") == text


def test_only_the_value_is_replaced() -> None:
    text = '{ "servers":{"lorgnette" :  {"old": 1} , /* c */ "b":2}}'
    new = JsonText(text, comments=True).set("servers", "lorgnette", {})
    assert new == '{ "servers":{"lorgnette" :  {} , /* c */ "b":2}}'


@pytest.mark.parametrize("text", ["", " \n", "{}", "{\n}", '{"servers": {}}', "{ // nothing yet\n}"])
def test_what_is_missing_around_the_entry_is_made(text: str) -> None:
    new = JsonText(text, comments=True).set("servers", "lorgnette", ENTRY)
    assert JsonText(new, comments=True).value == {"servers": {"lorgnette": ENTRY}}
    assert ("nothing yet" in text) == ("nothing yet" in new)
    assert JsonText(JsonText(new, comments=True).remove("servers", "lorgnette"), comments=True).value == {"servers": {}}


def test_the_first_and_the_middle_entry_go_with_their_line() -> None:
    text = '{"s": {\n  "a": 1, // one\n  "b": 2,\n  "c": 3\n}}'
    assert JsonText(text, comments=True).remove("s", "a") == '{"s": { // one\n  "b": 2,\n  "c": 3\n}}'
    assert JsonText(text, comments=True).remove("s", "b") == '{"s": {\n  "a": 1, // one\n  "c": 3\n}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,}', "line 1"),
        ("{\n// c\n}", "line 2"),
        ('{"a": 1\n', "line 2"),
        ("[]", "no JSON object"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
    ],
)
def test_what_is_not_strict_json_is_refused_where_the_client_would_refuse_it(text: str, said: str) -> None:
    with pytest.raises(NotJson, match=said):
        JsonText(text, comments=False)


@pytest.mark.parametrize("text", ["{,}", '{"a": [,]}', '{"a": 1,,}', "{/* open", "{'a': 1}", '{"a": 1} x'])
def test_comments_do_not_excuse_the_rest(text: str) -> None:
    with pytest.raises(NotJson):
        JsonText(text, comments=True)


@pytest.mark.parametrize("text", ['{"s": [], "t": 1}', '{"s": {}, "s": {}}', '{"s": {"x": 1, "x": 2}}'])
def test_what_would_need_a_guess_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        JsonText(text, comments=False).set("s", "x", {})


FILLS = st.sampled_from(["", " ", "\n", "\n    ", "\t", " // note\n", "/* , } */", '\n  // "x": {\n  '])
NAMES = st.sampled_from(["a", "b", "servers", "lorgnette", "c//d", 'q"', "e/*", ","])
LEAVES = st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A text with comments in any place, and what it means."""

    def written(value: Any) -> str:
        if not isinstance(value, dict):
            return json.dumps(value)
        members = [f"{draw(FILLS)}{json.dumps(key)}{draw(FILLS)}:{draw(FILLS)}{written(item)}{draw(FILLS)}"
                   for key, item in value.items()]  # fmt: skip
        wants_comma: bool = draw(st.booleans())
        trailing = "," + draw(FILLS) if members and wants_comma else ""
        return "{" + (",".join(members) or draw(FILLS)) + trailing + "}"

    inner = st.dictionaries(NAMES, LEAVES, max_size=4)
    value = draw(st.dictionaries(NAMES, st.one_of(LEAVES, inner), max_size=4))
    if not isinstance(value.get("servers"), dict):
        value["servers"] = draw(inner)
    return draw(FILLS) + written(value) + draw(FILLS), value


@given(texts())
def test_any_text_means_the_same_but_for_the_entry(case: tuple[str, dict[str, Any]]) -> None:
    text, value = case
    assert JsonText(text, comments=True).value == value
    new = JsonText(text, comments=True).set("servers", "lorgnette", ENTRY)
    servers = value["servers"]
    assert JsonText(new, comments=True).value == {**value, "servers": {**servers, "lorgnette": ENTRY}}
    less = JsonText(new, comments=True).remove("servers", "lorgnette")
    kept = {name: item for name, item in servers.items() if name != "lorgnette"}
    assert JsonText(less, comments=True).value == {**value, "servers": kept}
    if servers and "lorgnette" not in servers:
        assert less == text

from collections.abc import Mapping
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from model.call_options import UnsupportedSchema
from model.openvino.grammar import json_grammar


class Plan(BaseModel):
    task: Literal["count", 'say "hi"']
    steps: list[str] = Field(max_length=2)
    sure: bool


def grammar(schema: Mapping[str, object]) -> list[str]:
    """Return the lines of a grammar without those that all have."""
    return json_grammar({"title": "X", **schema}, "X").splitlines()[:-2]


def test_an_object_is_written_in_its_order_without_white_space() -> None:
    assert json_grammar(Plan.model_json_schema(), "Plan").splitlines()[:6] == [
        "root ::= part_4",
        r'part_0 ::= "\"count\"" | "\"say \\\"hi\\\"\""',
        r'part_1 ::= "\"" string_char{0,256} "\""',
        r'part_2 ::= "[" (part_1 ("," part_1){0,1})? "]"',
        'part_3 ::= "true" | "false"',
        r'part_4 ::= "{" "\"task\":" part_0 "," "\"steps\":" part_2 "," "\"sure\":" part_3 "" "}"',
    ]


def test_a_key_that_may_be_missing_takes_its_comma_along() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["b"]}
    assert grammar(schema) == [
        "root ::= part_1",
        r'part_0 ::= "\"a\":" "null" "," "\"b\":" "null" "" | "\"b\":" "null" ""',
        'part_1 ::= "{" part_0 "}"',
    ]


def test_integers_of_a_narrow_range_are_listed() -> None:
    assert grammar({"type": "integer", "minimum": 1, "maximum": 3})[1] == 'part_0 ::= "1" | "2" | "3"'
    assert grammar({"type": "integer"})[1] == 'part_0 ::= "-"? digits'
    assert grammar({"type": "integer", "minimum": 0})[1] == 'part_0 ::= "" digits'


def test_a_list_that_must_not_be_empty_has_an_item() -> None:
    schema = {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3}
    assert grammar(schema)[2] == 'part_1 ::= "[" part_0 ("," part_0){0,2} "]"'


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "array", "items": {}}, {"type": "date"}])
def test_a_part_that_may_be_anything_is_refused(schema: Mapping[str, object]) -> None:
    with pytest.raises(UnsupportedSchema):
        grammar(schema)

"""Structured output always parses: from the bundled model, and from random and adversarial scores."""

import json
import time
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, field_validator

from graph.answer import Grade, Plan, Query, Review
from model.call_options import Cancelled, DeadlineExceeded, InvalidOutput, UnsupportedSchema
from model.hub import tiny_folder
from model.pictures.picture import Picture
from model.qwen3_vl.bounded_schema import MAX_ITEMS, MAX_STRING_CHARS, bounded
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.closing_bound import closing_bound
from model.qwen3_vl.grammar import Closings, Grammars, JsonConstraint
from model.qwen3_vl.load import Loaded

pytestmark = pytest.mark.heavy

SCHEMAS: list[type[BaseModel]] = [Plan, Review, Grade, Query]
WIDTH = json.loads((tiny_folder() / "config.json").read_text("utf-8"))["text_config"]["vocab_size"]
"""Of the bundled checkpoint's head."""


class Item(BaseModel):
    name: str
    price: float
    kind: Literal["a", 'quo"ted', "中文"]


class Order(BaseModel):
    items: list[Item]
    pair: tuple[int, bool]
    first: Item | None
    note: str | int = ""
    when: date
    code: Annotated[str, Field(pattern="^[A-Z]{2}-[0-9]+$", max_length=9)]
    long: Annotated[str, Field(min_length=5)]
    count: Annotated[int, Field(gt=3)]


class Pair(BaseModel):
    both: tuple[Item, Item]
    more: Annotated[list[float], Field(min_length=3)]
    word: Annotated[str, Field(min_length=12)]
    either: Literal["left", "right"] | None


class Flag(RootModel[bool]):
    pass


class Number(RootModel[int]):
    pass


@pytest.fixture(scope="session")
def grammars(loaded: Loaded) -> Grammars:
    return Grammars(loaded.processor.tokenizer, [loaded.model.generation_config.eos_token_id])


def write(constraint: JsonConstraint, scores: Callable[[], torch.Tensor]) -> list[int]:
    """Write a document as `generate` would, with scores (1, V) from anywhere instead of a model."""
    written: list[int] = []
    while not constraint.is_complete and len(written) < constraint.max_new_tokens:
        token = int(constraint(torch.empty(1, 0), scores()).argmax())
        constraint.consume(token)
        written.append(token)
    return written


@pytest.mark.parametrize("budget", [1, 40, 120])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_bundled_model_writes_every_decision_at_every_budget(
    chat: ChatQwen3VL, picture: Picture, schema: type[BaseModel], budget: int
) -> None:
    message = [{"type": "image", "image": picture}, {"type": "text", "text": "图里有几个红色的方块？请总结对话。"}]
    model = chat.with_structured_output(schema)
    answer = model.invoke([("user", message)], max_new_tokens=budget, temperature=2.0, seed=budget)
    assert isinstance(answer, schema)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_greedy_decoding_parses_too(chat: ChatQwen3VL, schema: type[BaseModel]) -> None:
    assert isinstance(chat.with_structured_output(schema).invoke("计划一下", max_new_tokens=32), schema)


@settings(max_examples=60)
@given(
    schema=st.sampled_from([*SCHEMAS, Order, Flag, Number]),
    budget=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    width=st.sampled_from([WIDTH, WIDTH - 4, WIDTH + 93]),
    heat=st.sampled_from([0.1, 3.0, 30.0]),
)
def test_any_scores_of_a_head_of_any_width_give_a_document_within_the_limit(
    grammars: Grammars, loaded: Loaded, schema: type[BaseModel], budget: int, seed: int, width: int, heat: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    constraint = grammars.constraint(schema.model_json_schema(), schema.__name__, budget)
    written = write(constraint, lambda: torch.randn(1, width, generator=random) * heat)
    assert len(written) <= constraint.max_new_tokens
    schema.model_validate_json(loaded.processor.tokenizer.decode(written, skip_special_tokens=True))


@settings(max_examples=40)
@given(schema=st.sampled_from([*SCHEMAS, Flag, Number, Pair]), seed=st.integers(0, 2**32), stop=st.integers(0, 60))
def test_no_beginning_of_a_document_wants_more_to_its_end_than_the_schema_says(
    grammars: Grammars, schema: type[BaseModel], seed: int, stop: int
) -> None:
    bound = closing_bound(bounded(schema.model_json_schema(), schema.__name__))
    random = torch.Generator().manual_seed(seed)
    constraint = grammars.constraint(schema.model_json_schema(), schema.__name__, 300)
    while not constraint.is_complete and stop > 0:
        constraint.consume(int(constraint(torch.empty(1, 0), torch.randn(1, WIDTH, generator=random) * 3).argmax()))
        stop -= 1
    assert bound is not None
    assert len(constraint.way_to_the_end()) <= bound


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_token_far_from_the_limit_costs_one_mask(
    grammars: Grammars, schema: type[BaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    constraint = grammars.constraint(schema.model_json_schema(), schema.__name__, 2000)
    masks: list[str] = []
    real = Closings.mask

    def mask(self: Closings, matcher: Any, name: str) -> bytes:
        masks.append(name)
        return real(self, matcher, name)

    monkeypatch.setattr(Closings, "mask", mask)
    random = torch.Generator().manual_seed(3)
    written = write(constraint, lambda: torch.randn(1, WIDTH, generator=random))
    assert len(masks) == len(written)


def test_a_schema_with_a_pattern_promises_nothing_about_its_end() -> None:
    assert closing_bound(bounded(Order.model_json_schema(), "Order")) is None


@pytest.mark.parametrize("verdict", ["PASS", "RETRY"])
def test_a_verdict_behind_a_text_that_was_cut_short_is_still_the_models(
    grammars: Grammars, loaded: Loaded, verdict: str
) -> None:
    tokenizer = loaded.processor.tokenizer
    scores = torch.zeros(1, WIDTH)
    scores[0, tokenizer.convert_tokens_to_ids("a")] = 9.0  # goes on for ever where it may
    scores[0, tokenizer.convert_tokens_to_ids(verdict[0])] = 8.0
    scores[0, tokenizer(verdict)["input_ids"][0]] = 8.5
    written = write(grammars.constraint(Review.model_json_schema(), "Review", 60), scores.clone)
    review = Review.model_validate_json(tokenizer.decode(written))
    assert review.verdict == verdict
    assert set(review.feedback) == {"a"}


def test_the_text_is_compact_like_pydantics_own(grammars: Grammars, loaded: Loaded) -> None:
    random = torch.Generator().manual_seed(1)
    constraint = grammars.constraint(Plan.model_json_schema(), "Plan", 200)
    text = loaded.processor.tokenizer.decode(write(constraint, lambda: torch.randn(1, WIDTH, generator=random)))
    assert text == Plan.model_validate_json(text).model_dump_json()


def test_scores_that_are_not_numbers_still_end_the_document(grammars: Grammars, loaded: Loaded) -> None:
    constraint = grammars.constraint(Plan.model_json_schema(), "Plan", 50)
    written = write(constraint, lambda: torch.full((1, WIDTH), torch.nan))
    Plan.model_validate_json(loaded.processor.tokenizer.decode(written))


def test_open_strings_and_lists_get_bounds_and_objects_forbid_extras() -> None:
    schema = bounded({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}, "S")
    assert schema["additionalProperties"] is False
    assert schema["properties"]["a"]["maxItems"] == MAX_ITEMS
    assert schema["properties"]["a"]["items"]["maxLength"] == MAX_STRING_CHARS


class Node(BaseModel):
    children: "list[Node]"


class FreeKeys(BaseModel):
    values: dict[str, str]


class Unique(BaseModel):
    values: set[int]


class Anything(BaseModel):
    value: Any


class Unknown(BaseModel):
    value: Annotated[str, Field(json_schema_extra={"format": "no-such-format"})]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (Node, "'Node' contains itself"),
        (FreeKeys, "free keys"),
        (Unique, "set"),
        (Anything, "type"),
        (str, "neither a pydantic class"),
    ],
)
def test_a_schema_without_an_end_is_refused_before_the_first_call(chat: ChatQwen3VL, schema: type, reason: str) -> None:
    with pytest.raises(UnsupportedSchema, match=reason):
        chat.with_structured_output(schema)


def test_what_llguidance_does_not_know_is_one_clear_sentence(chat: ChatQwen3VL) -> None:
    with pytest.raises(UnsupportedSchema, match="no-such-format"):
        chat.with_structured_output(Unknown).invoke("hi")


def test_a_json_schema_gives_a_dict(chat: ChatQwen3VL) -> None:
    schema = {"title": "s", "type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    assert chat.with_structured_output(schema).invoke("Is it red?", max_new_tokens=16)["yes"] in (True, False)


def test_include_raw_brings_the_message_along(chat: ChatQwen3VL) -> None:
    answer = chat.with_structured_output(Grade, include_raw=True).invoke("Which?", max_new_tokens=24)
    assert answer["parsing_error"] is None
    assert answer["parsed"].model_dump_json() == answer["raw"].content
    assert answer["raw"].response_metadata["finish_reason"] == "stop"


class Impossible(BaseModel):
    yes: bool

    @field_validator("yes")
    @classmethod
    def _refuse(cls, value: bool) -> bool:
        raise ValueError("never right")


def test_a_validator_that_no_grammar_knows_is_a_clear_error(chat: ChatQwen3VL) -> None:
    with pytest.raises(InvalidOutput, match="yes: Value error, never right"):
        chat.with_structured_output(Impossible).invoke("hi", max_new_tokens=16)


def test_include_raw_returns_the_parsing_error(chat: ChatQwen3VL) -> None:
    answer = chat.with_structured_output(Impossible, include_raw=True).invoke("hi", max_new_tokens=16)
    assert answer["parsed"] is None
    assert isinstance(answer["parsing_error"], InvalidOutput)


def test_half_a_document_at_the_deadline_is_an_error(chat: ChatQwen3VL) -> None:
    with pytest.raises(DeadlineExceeded, match="'Plan' half written"):
        chat.with_structured_output(Plan).invoke("hi", deadline=time.monotonic())


def test_cancel_passes_through_to_structured_calls(chat: ChatQwen3VL) -> None:
    import threading

    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        chat.with_structured_output(Plan).invoke("hi", cancel=cancel)

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from PIL.Image import Transpose
from pydantic import BaseModel

from model.call_options import Cancelled, DeadlineExceeded, InvalidCall, InvalidOutput, UnsupportedSchema
from model.openvino.chat import ChatOpenVINO
from model.openvino.errors import PromptTooLong
from model.openvino.prompt import PICTURE_TAG, Template
from model.pictures.picture import Picture
from model.served import NotOffered
from model.thinking import thinking_of

END = "<|im_end|>"


class Verdict(BaseModel):
    ok: bool
    why: str = ""


def question(*pictures: Picture, text: str = "What is it?") -> list[HumanMessage]:
    return [
        HumanMessage([*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": text}])
    ]


def test_an_answer_says_what_it_cost(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = [f"a red square{END}"]
    answer = chat.invoke(question())
    assert isinstance(answer, AIMessage) and answer.text == "a red square"
    written = len(engine.tokenizer.encode(f"a red square{END}").ids)
    prompt = len(engine.tokenizer.encode(engine.prompts[0]).ids)
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (prompt, written)
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["probability"] == pytest.approx(0.5**written)


def test_an_answer_streams_token_by_token(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = [f"a red square{END}"]
    pieces = [chunk.text for chunk in chat.stream(question())]
    assert "".join(pieces) == "a red square" and len([piece for piece in pieces if piece]) > 1


def test_pictures_go_to_the_engine_in_their_order_and_the_size_in_which_they_are_read(
    chat: ChatOpenVINO, engine: Any, picture: Picture
) -> None:
    engine.texts = [END]
    chat.invoke(question(picture, picture))
    assert engine.prompts[0].count(PICTURE_TAG) == 2
    assert engine.pictures[0] == [(1, 160, 160, 3)] * 2  # of 120 x 100 pixels, grown to at least 144 x 144


def test_a_video_goes_as_its_frames(chat: ChatOpenVINO, engine: Any, picture: Picture) -> None:
    engine.texts = [END]
    chat.invoke([HumanMessage([{"type": "video", "frames": [picture, picture]}])])
    assert engine.prompts[0].count(PICTURE_TAG) == len(engine.pictures[0]) == 2


def test_a_second_question_counts_what_was_read_in_whole_blocks(
    chat: ChatOpenVINO, engine: Any, picture: Picture
) -> None:
    engine.texts = [END, END]
    system = SystemMessage("You look at pictures.")
    chat.invoke([system, *question(picture, text="What is it?")])
    second = chat.invoke([system, *question(picture, text="Read it.")])
    first, again = (engine.prompts[0], engine.prompts[1])
    shared = engine.tokenizer.encode(first[: first.index("What")]).ids
    assert again.startswith(first[: first.index("What")])
    whole = (len(shared) - 1 + 25) // 4 * 4  # the picture's one token is 25 for the engine: 5 x 5
    assert second.usage_metadata is not None
    assert second.usage_metadata["input_token_details"]["cache_read"] == whole


def test_another_picture_of_the_same_size_was_not_read_before(
    chat: ChatOpenVINO, engine: Any, picture: Picture
) -> None:
    engine.texts = [END, END]
    other = Picture("other", None, picture.image.transpose(Transpose.FLIP_LEFT_RIGHT), "other")
    chat.invoke(question(picture))
    second = chat.invoke(question(other))
    before = len(engine.tokenizer.encode(engine.prompts[0][: engine.prompts[0].index("<|image_pad|>")]).ids)
    assert second.usage_metadata is not None
    assert second.usage_metadata["input_token_details"]["cache_read"] == before // 4 * 4


def test_a_cancelled_call_ends_within_one_token(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = ["a red square and a blue circle"]
    cancel = threading.Event()
    engine.after = lambda number: cancel.set() if number == 2 else None
    with pytest.raises(Cancelled):
        chat.invoke(question(), cancel=cancel)
    assert engine.closed == 1


def test_an_answer_ends_with_what_there_is_when_time_is_up(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = ["a red square", '{"ok":true']
    over = time.monotonic() + 3000
    answer = chat.invoke(question(), deadline=over)
    assert answer.response_metadata["finish_reason"] == "stop"
    engine.after = lambda number: time.sleep(0.02)
    with pytest.raises(DeadlineExceeded):
        chat.with_structured_output(Verdict).invoke(question(), deadline=time.monotonic() + 0.01)


def test_an_answer_ends_before_a_stop_string(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = ["a red square and a blue circle"]
    answer = chat.invoke(question(), stop=["and"])
    assert answer.text == "a red square " and answer.response_metadata["finish_reason"] == "stop"
    assert engine.closed == 1


def test_an_answer_of_all_its_tokens_is_called_cut_off(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = ["a red square and a blue circle"]
    assert chat.invoke(question(), max_new_tokens=2).response_metadata["finish_reason"] == "length"


def test_every_sampling_option_reaches_the_engine(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = [END]
    chat.invoke(
        question(), temperature=0.7, top_p=0.9, top_k=5, repetition_penalty=1.1, presence_penalty=0.5, seed=3
    )  # fmt: skip
    options = engine.options[0]
    assert (options.temperature, options.top_p, options.top_k, options.seed) == (0.7, 0.9, 5, 3)
    assert (options.repetition_penalty, options.presence_penalty) == (1.1, 0.5)


def test_an_option_that_nobody_knows_is_named(chat: ChatOpenVINO) -> None:
    with pytest.raises(InvalidCall, match="min_p"):
        chat.invoke(question(), min_p=0.1)


def test_a_structured_answer_is_written_under_a_grammar(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = [f'{{"ok":true}}{END}']
    assert chat.with_structured_output(Verdict).invoke(question()) == Verdict(ok=True)
    assert engine.options[0].grammar is not None and '"\\"ok\\":"' in engine.options[0].grammar


def test_a_structured_answer_that_is_cut_off_is_refused(chat: ChatOpenVINO, engine: Any) -> None:
    engine.texts = ['{"ok":true,"why":"it is']
    with pytest.raises(InvalidOutput):
        chat.with_structured_output(Verdict).invoke(question())


def test_a_schema_without_an_end_is_refused_before_the_first_call(chat: ChatOpenVINO, engine: Any) -> None:
    with pytest.raises(UnsupportedSchema):
        chat.with_structured_output({"title": "Any", "type": "object"})
    assert engine.prompts == []


def test_thoughts_are_closed_in_time_and_told_apart(chat: ChatOpenVINO, engine: Any) -> None:
    template = Template(chat.loaded.ir.chat_template + "<think>\n", [])
    chat.loaded = replace(chat.loaded, template=template)
    engine.texts = ["it is red and large and a square and more", f"a square{END}"]
    answer = chat.invoke(question())
    assert answer.text == "a square"
    assert thinking_of(answer).startswith("it is red")
    assert engine.options[0].max_new_tokens == 8  # the setting thinking_tokens
    assert engine.prompts[1] == f"{engine.prompts[0]}{thinking_of(answer)}\n</think>\n\n"


def test_a_decision_of_a_model_that_always_thinks_is_ruled_behind_its_thoughts(chat: ChatOpenVINO, engine: Any) -> None:
    chat.loaded = replace(chat.loaded, template=Template(chat.loaded.ir.chat_template + "<think>\n", []))
    engine.texts = [f"it is{END}", f'{{"ok":true}}{END}']
    assert chat.with_structured_output(Verdict).invoke(question()) == Verdict(ok=True)
    assert [options.grammar is None for options in engine.options] == [True, False]
    assert engine.options[0].max_new_tokens == 2  # a decision thinks a quarter of that


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_computed(chat: ChatOpenVINO, engine: Any) -> None:
    with pytest.raises(PromptTooLong, match="at most 500 fit beside an answer of 12"):
        chat.invoke(question(text="red " * 600))
    assert engine.prompts == []


def test_what_this_engine_cannot_do_is_said(chat: ChatOpenVINO) -> None:
    with pytest.raises(NotOffered, match="does not change its adapter"):
        chat.swap_adapter(None)
    with pytest.raises(NotOffered, match="gives no probabilities"):
        chat.choice_probabilities([HumanMessage("?")], ["yes", "no"])
    assert not chat.swaps_adapters and not chat.gives_probabilities

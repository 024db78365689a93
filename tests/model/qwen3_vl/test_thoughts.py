"""A thinking template on the bundled checkpoint: it writes nonsense where it should think, which is enough here."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import load
from model.qwen3_vl.thoughts import Thoughts
from model.settings import ModelSettings

OPENS = "{{ '<|im_start|>assistant\\n' }}"
THINKS = "{{ '<|im_start|>assistant\\n<think>\\n' }}"
SWITCH = "{{ '<|im_start|>assistant\\n' }}{%- if enable_thinking is not defined -%}{{ '<think>\\n' }}{%- endif -%}"


class Verdict(BaseModel):
    verdict: Literal["PASS", "RETRY"]


@pytest.fixture(scope="module")
def thinker() -> Iterator[Any]:
    loaded = load(ModelSettings(model="tiny"))
    chat = ChatQwen3VL(loaded=loaded, max_new_tokens=8, thinking_tokens=12)
    template = loaded.processor.chat_template

    def use(opening: str) -> ChatQwen3VL:
        assert OPENS in template
        loaded.processor.chat_template = template.replace(OPENS, opening)
        return chat

    yield use
    loaded.processor.chat_template = template
    chat.close()


def test_thinking_is_closed_in_time_and_stays_out_of_the_text(thinker: Any) -> None:
    answer = thinker(THINKS).invoke("Describe the picture.")
    assert answer.additional_kwargs["reasoning_content"]
    assert "think" not in answer.text and answer.text == answer.text.lstrip()
    closing = len(thinker(THINKS).get_token_ids("</think>\n\n"))
    assert 0 < answer.usage_metadata["output_tokens"] <= 12 + closing + 8


def test_the_grammar_rules_after_the_thinking(thinker: Any) -> None:
    answer = thinker(THINKS).with_structured_output(Verdict, include_raw=True).invoke("Describe the picture.")
    assert isinstance(answer["parsed"], Verdict)
    assert json.loads(answer["raw"].text)["verdict"] in ("PASS", "RETRY")


def test_a_decision_asks_a_template_with_a_switch_not_to_think(thinker: Any) -> None:
    chat = thinker(SWITCH)
    decided = chat.with_structured_output(Verdict, include_raw=True).invoke("Describe the picture.")
    assert "reasoning_content" not in decided["raw"].additional_kwargs
    assert "reasoning_content" in chat.invoke("Describe the picture.").additional_kwargs


def test_a_streamed_answer_carries_its_thinking_apart(thinker: Any) -> None:
    chunks = list(thinker(THINKS).stream("Describe the picture."))
    assert not any("think" in chunk.text for chunk in chunks)
    assert chunks[-1].additional_kwargs["reasoning_content"]


def test_a_model_that_does_not_think_keeps_its_whole_budget(thinker: Any) -> None:
    chat = thinker(OPENS)
    thoughts = Thoughts(
        chat.loaded.processor.tokenizer, chat.loaded.processor.tokenizer("Hi", return_tensors="pt").input_ids[0], 99,
        may_open=True,
    )  # fmt: skip
    assert (thoughts.is_open, thoughts.reserve, thoughts.takes(65), thoughts.forced()) == (False, 0, False, None)

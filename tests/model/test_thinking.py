"""Thinking and saying told apart, in whole texts and in pieces of any size."""

import pytest

from model.thinking import Piece, ThinkingSplitter, is_named_thinker, split_thinking

CASES = [
    ("A red square.", "", "A red square."),
    ("<think>hm</think>A red square.", "hm", "A red square."),
    ("\n<think>\nhm\n</think>\n\nA red square.", "hm", "A red square."),
    ("hm, red?\n</think>\n\nA red square.", "hm, red?", "A red square."),
    ("<think>a</think>\n<think>b</think>\nA red square.", "ab", "A red square."),
    ("<think></think>A", "", "A"),
    ("<think>never ends", "never ends", ""),
    ("<thinking>x</thinking> 1 < 2", "x", "1 < 2"),
    ("The tag <b> is 3 < 4 </", "", "The tag <b> is 3 < 4 </"),
]


@pytest.mark.parametrize(("text", "thought", "said"), CASES)
def test_a_whole_text_is_split(text: str, thought: str, said: str) -> None:
    assert split_thinking(text) == (thought, said)


@pytest.mark.parametrize(("text", "thought", "said"), CASES)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_pieces_give_the_same(text: str, thought: str, said: str, size: int) -> None:
    splitter, whole = ThinkingSplitter(expects=True), Piece()
    for at in range(0, len(text), size):
        whole += splitter.feed(text[at : at + size])
    whole += splitter.finish()
    assert (whole.thought.strip(), whole.said) == (thought, said)


def test_unexpected_thinking_without_its_opening_tag_is_withdrawn() -> None:
    splitter = ThinkingSplitter()
    assert splitter.feed("hm, red?").said == "hm, red?"
    assert not splitter.withdrawn
    assert splitter.feed("</think>A").said == "A"
    assert splitter.withdrawn


@pytest.mark.parametrize("name", ["Qwen/Qwen3-VL-8B-Thinking", "deepseek-r1", "QwQ-32B", "magistral-small"])
def test_a_thinking_model_is_known_by_its_name(name: str) -> None:
    assert is_named_thinker(name)


@pytest.mark.parametrize("name", ["Qwen3-VL-8B-Instruct", "seer", "gpt-4o", "qwen3-nothink", "star1"])
def test_others_are_not(name: str) -> None:
    assert not is_named_thinker(name)

"""Penalties, top-k and top-p on scores that can be worked out by hand."""

from typing import Any

import torch

from model.call_options import Call
from model.qwen3_vl.sampler import Sampler, sampler_for

SCORES = torch.tensor([[2.0, 1.0, -1.0, 0.0]])


def call(**options: Any) -> Call:
    return Call(**{"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0, **options})


def scored(prompt: list[int], answer: list[int], **options: Any) -> list[float]:
    sampler = Sampler(call(**options), torch.device("cpu"))
    sampler.prompt_tokens = len(prompt)
    return [float(score) for score in sampler(torch.tensor([[*prompt, *answer]]), SCORES)[0]]


def drawn(**options: Any) -> set[int]:
    sampler = Sampler(call(temperature=1.0, seed=1, **options), torch.device("cpu"))
    return {int(sampler(torch.tensor([[3]]), SCORES).argmax()) for _ in range(300)}


def test_the_likeliest_token_needs_no_sampler() -> None:
    assert sampler_for(call(), torch.device("cpu")) is None
    assert sampler_for(call(top_k=5, top_p=0.5), torch.device("cpu")) is None


def test_the_repetition_penalty_divides_what_is_above_zero_and_multiplies_what_is_below() -> None:
    assert scored([0, 2], [], repetition_penalty=2.0) == [1.0, 1.0, -2.0, 0.0]


def test_the_presence_penalty_is_taken_once_from_tokens_of_the_answer_alone() -> None:
    assert scored([0], [1, 1, 3], presence_penalty=0.5) == [2.0, 0.5, -1.0, -0.5]


def test_top_k_draws_from_the_best_alone() -> None:
    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_k=1) == {0}


def test_top_p_draws_from_the_fewest_that_hold_so_much() -> None:
    assert drawn(top_p=0.6) == {0}
    assert drawn(top_p=0.8) == {0, 1}

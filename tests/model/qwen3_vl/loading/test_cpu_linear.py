"""What is multiplied on a CPU: the head for the tokens that are read, in two dimensions, and single rows by `mv`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from finetune.data.sample import Message, Origin, Sample
from finetune.evaluation.batch_generation import Answerer
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import Loaded, load
from model.qwen3_vl.loading.cpu_linear import CpuLinear
from model.settings import ModelSettings

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def in_bfloat16() -> Loaded:
    return load(ModelSettings(model="tiny"), dtype=torch.bfloat16)


class Operations(TorchDispatchMode):
    """Notes the shapes that every operation of torch takes and gives."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, list[tuple[int, ...]]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        shapes = [tuple(value.shape) for value in (*args, result) if isinstance(value, torch.Tensor)]
        self.done.append((func.overloadpacket.__name__, shapes))
        return result


@contextmanager
def watched(loaded: Loaded) -> Iterator[tuple[Operations, list[int]]]:
    """Note the operations inside the head, and for how many tokens it ran each time."""
    operations, tokens = Operations(), list[int]()
    head = loaded.model.get_output_embeddings()
    real = head.forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        tokens.append(hidden.numel() // hidden.shape[-1])
        with operations:
            return real(hidden)

    head.forward = forward
    try:
        yield operations, tokens
    finally:
        del head.forward


def copies_of_the_head(operations: Operations, loaded: Loaded) -> list[str]:
    size = loaded.model.get_output_embeddings().weight.numel()
    return [
        name
        for name, shapes in operations.done
        if name in ("bmm", "clone", "copy_", "contiguous", "_to_copy")
        and any(torch.Size(shape).numel() >= size for shape in shapes)
    ]


def test_serving_computes_the_head_once_a_token_and_never_copies_it(in_bfloat16: Loaded, picture: Picture) -> None:
    chat = ChatQwen3VL(loaded=in_bfloat16, max_new_tokens=6)
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "How many objects are there?"}]
    with watched(in_bfloat16) as (operations, tokens):
        answer = chat.invoke([("user", content)])  # type: ignore[list-item]
    chat.close()
    assert tokens == [1] * answer.usage_metadata["output_tokens"]  # type: ignore[index]
    assert copies_of_the_head(operations, in_bfloat16) == []


def test_a_judgement_computes_the_head_for_one_token(in_bfloat16: Loaded) -> None:
    chat = ChatQwen3VL(loaded=in_bfloat16)
    with watched(in_bfloat16) as (operations, tokens):
        chat.choice_probabilities(chat._convert_input("Is it red?").to_messages(), ["yes", "no"])
    chat.close()
    assert tokens == [1]
    assert copies_of_the_head(operations, in_bfloat16) == []


def test_evaluation_computes_the_head_for_the_last_token_of_each_row(in_bfloat16: Loaded) -> None:
    answerer = Answerer(in_bfloat16, max_new_tokens=3, max_pixels=None)
    asked = [
        Sample("row", (Message("user", (text,)), Message("assistant", ("",))), Origin(Path("rows.jsonl"), number))
        for number, text in enumerate(("Is it red?", "How many circles are there in all of the picture?"))
    ]
    with watched(in_bfloat16) as (operations, tokens):
        answerer.answer([answerer.encode(sample) for sample in asked], adapted=False)
    assert set(tokens) == {2}
    assert copies_of_the_head(operations, in_bfloat16) == []


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 64), (1, 64), (64,), (1, 5, 64), (2, 1, 64), (3, 64)])
def test_every_shape_of_input_gives_what_a_plain_layer_gives(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(64, 48, bias=bias, dtype=torch.bfloat16).requires_grad_(False)
    ours = CpuLinear(64, 48, bias=bias, dtype=torch.bfloat16)
    ours.load_state_dict(plain.state_dict())
    hidden = torch.randn(shape, dtype=torch.bfloat16)
    given, wanted = ours(hidden), plain(hidden)
    assert given.shape == wanted.shape
    torch.testing.assert_close(given, wanted, rtol=2**-7, atol=2**-7)


def test_float32_is_the_same_to_the_bit() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(64, 48).requires_grad_(False)
    ours = CpuLinear(64, 48)
    ours.load_state_dict(plain.state_dict())
    for shape in ((1, 1, 64), (1, 7, 64)):
        hidden = torch.randn(shape)
        assert torch.equal(ours(hidden), plain(hidden))


def test_what_peft_asks_of_a_layer_holds(in_bfloat16: Loaded) -> None:
    layers = [module for module in in_bfloat16.model.modules() if isinstance(module, nn.Linear)]
    assert {type(layer) for layer in layers} == {CpuLinear}
    assert all(isinstance(layer.weight, nn.Parameter) for layer in layers)

"""A program that only answers imports transformers without torch's compiler and clusters, and answers the same."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.heavy

ANSWER = """
import sys
from model.qwen3_vl.loading import lean_import
{before}
from model.open import open_chat
from model.settings import ModelSettings
chat, _ = open_chat(ModelSettings(model="tiny"))
print(chat.invoke("How many objects are there?").content)
chat.close()
print([name for name in ("torch._dynamo", "torch.distributed.tensor", "scipy") if name in sys.modules])
{after}
"""


def run(before: str = "", after: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ANSWER.format(before=before, after=after)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_program_that_only_answers_leaves_out_what_it_never_uses_and_says_the_same() -> None:
    whole, lean = run(), run("lean_import.allow()")
    assert lean[0] == whole[0]
    assert lean[1] == "[]"
    assert "torch._dynamo" in whole[1]


def test_what_was_left_out_can_be_had_afterwards() -> None:
    after = """
import torch, torch._dynamo
from transformers.utils import is_scipy_available, is_torch_distributed_available
from torch.distributed.tensor import DTensor
print(is_scipy_available(), is_torch_distributed_available(), callable(torch._dynamo.disable))
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item())
"""
    assert run("lean_import.allow()", after)[2:] == ["True True True", "2.0"]


@pytest.mark.slow
def test_a_transformers_that_wants_more_is_imported_whole() -> None:
    assert run("lean_import.allow(); lean_import._DECORATORS = ()")[0] == run()[0]

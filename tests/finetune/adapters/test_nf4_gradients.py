"""Four-bit training on a CPU: bitsandbytes repacks layers at an evaluation, and its packed form has no gradients."""

import warnings

import pytest
import torch

from finetune.adapters.workarounds import keep_gradients_exact
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training


@pytest.mark.skipif(torch.cuda.is_available(), reason="the packed form is the CPU's")
def test_gradients_are_the_same_before_and_after_an_evaluation() -> None:
    pytest.importorskip("bitsandbytes")
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = load(ModelSettings(model="tiny", quantization="nf4")).model
    keep_gradients_exact(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    inputs = {"input_ids": torch.arange(5, 25)[None], "labels": torch.arange(5, 25)[None]}

    def gradients() -> list[torch.Tensor]:
        model.train().zero_grad()
        model(**inputs).loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    before = gradients()
    with torch.no_grad():
        model.eval()(**inputs)
    assert before and sum(float(g.abs().sum()) for g in before) > 0
    for first, second in zip(before, gradients(), strict=True):
        assert torch.equal(first, second)

"""What training in bfloat16 spares itself changes no bit: copies of the adapters' inputs, and the router's of them."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from finetune.adapters.attach import attach_trainable_adapter
from finetune.adapters.workarounds import uncast
from finetune.config.loading import load_config
from model.adapters.moe_lora import aux_loss
from model.adapters.moe_lora.router import router_logits
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training


def kept_bytes(compute: Any) -> tuple[torch.Tensor, int]:
    """Return a loss, after its way back, and how much was kept for that."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss: torch.Tensor = compute()
    loss.backward()
    return loss.detach(), sum(kept.values())


@pytest.mark.parametrize("flags", [("--finetuning_type=lora",), ("--finetuning_type=moe_lora", "--lora_rank=2")])
def test_a_step_without_the_copies_is_the_same_step(flags: tuple[str, ...]) -> None:
    loaded = load(ModelSettings(model="tiny"), dtype=torch.bfloat16)
    torch.manual_seed(0)
    model: Any = attach_trainable_adapter(loaded.model, load_config(None, flags), loaded.processor.tokenizer).train()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    input_ids = torch.arange(20, 84)[None]

    def compute() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            loss: torch.Tensor = model(input_ids=input_ids, labels=input_ids, use_cache=False).loss
        return loss + aux_loss(model)

    found = []
    for spared in (uncast(model), nullcontext()):
        model.zero_grad()
        with spared:
            loss, kept = kept_bytes(compute)
        found.append((loss, kept, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (loss, kept, grads), (plain_loss, plain_kept, plain_grads) = found
    assert torch.equal(loss, plain_loss) and kept < plain_kept
    assert grads and all(torch.equal(mine, theirs) for mine, theirs in zip(grads, plain_grads, strict=True))


def test_the_routers_product_is_float32s_and_keeps_no_copy_in_float32() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 8, 16).bfloat16()
    weight = torch.randn(4, 16, requires_grad=True)
    x, plain_x = values.clone().requires_grad_(), values.clone().requires_grad_()
    weights = torch.arange(4.0)

    def plain() -> torch.Tensor:
        return (F.linear(plain_x.float(), weight) * weights).square().sum()

    loss, kept = kept_bytes(lambda: (router_logits(x, weight, nn.Identity()) * weights).square().sum())
    grad = weight.grad
    weight.grad = None
    plain_loss, plain_kept = kept_bytes(plain)
    assert torch.equal(loss, plain_loss) and plain_kept - kept == values.numel() * 2
    assert x.grad is not None and plain_x.grad is not None and torch.equal(x.grad, plain_x.grad)
    assert grad is not None and weight.grad is not None and torch.allclose(grad, weight.grad, rtol=1e-6)

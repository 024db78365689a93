"""Each workaround does what it is for, and the library still has the fault without it.

A test whose name ends in `still_...` fails once the library has mended the fault: delete the workaround then, and the
test.
"""

import warnings
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.nn import functional as F

from finetune.adapters.attach import attach_trainable_adapter
from finetune.adapters.workarounds import drop_stale_hooks, keep_gradients_exact, uncast
from finetune.config.loading import load_config
from model.adapters.moe_lora import aux_loss
from model.adapters.moe_lora.router import router_logits
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training
INPUTS = {"input_ids": torch.arange(5, 25)[None], "labels": torch.arange(5, 25)[None]}


@pytest.fixture
def activated() -> Any:
    """A checkpointed base with an activated LoRA."""
    base = load(ModelSettings(model="tiny")).model
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], alora_invocation_tokens=[7, 8])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        model: Any = get_peft_model(base, config)
    model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    return model.train()


def test_peft_still_leaves_hooks_behind_a_pass_without_a_backward(activated: Any) -> None:
    with torch.no_grad():
        activated(**INPUTS)
    try:
        activated(**INPUTS)
    except ValueError as error:
        assert "Multiple invocations of PEFT forward hooks" in str(error)
    else:
        pytest.fail("PEFT takes its hooks off by itself now: delete finetune.adapters.workarounds.drop_stale_hooks")


def test_a_pass_follows_an_evaluation_once_the_stale_hooks_are_dropped(activated: Any) -> None:
    with torch.no_grad():
        activated(**INPUTS)
    drop_stale_hooks(activated)
    activated(**INPUTS).loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in activated.parameters())


def gradients_around_an_evaluation(*, exact: bool) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the gradients of a 4-bit base's LoRA on a CPU, before an evaluation and after it."""
    torch.manual_seed(0)
    base = load(ModelSettings(model="tiny", quantization="nf4")).model
    if exact:
        keep_gradients_exact(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))

    def gradients() -> list[torch.Tensor]:
        model.train().zero_grad()
        model(**INPUTS).loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    before = gradients()
    assert before and sum(float(g.abs().sum()) for g in before) > 0
    with torch.no_grad():
        model.eval()(**INPUTS)
    return before, gradients()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the packed form is the CPU's")
def test_gradients_are_the_same_before_and_after_an_evaluation() -> None:
    pytest.importorskip("bitsandbytes")
    before, after = gradients_around_an_evaluation(exact=True)
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the packed form is the CPU's")
def test_bitsandbytes_still_spoils_gradients_behind_an_evaluation() -> None:
    modules = pytest.importorskip("bitsandbytes.nn.modules")
    if not modules.has_avx512bf16():
        pytest.skip("bitsandbytes packs weights on processors with AVX512-BF16 alone")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of an operator without a gradient
        before, after = gradients_around_an_evaluation(exact=False)
    assert len(before) != len(after) or any(not torch.equal(*pair) for pair in zip(before, after, strict=True)), (
        "bitsandbytes keeps gradients exact now: delete finetune.adapters.workarounds.keep_gradients_exact"
    )


def test_peft_still_copies_inputs_to_float32_under_autocast() -> None:
    model: Any = get_peft_model(
        nn.Sequential(nn.Linear(8, 8, dtype=torch.bfloat16)), LoraConfig(target_modules=["0"], lora_dropout=0.0)
    )
    x = torch.randn(2, 8, dtype=torch.bfloat16)
    seen: list[torch.dtype] = []
    layer = next(module for module in model.modules() if isinstance(module, LoraLayer))
    layer.lora_A["default"].register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    for spared in (nullcontext(), uncast(model)):
        with torch.autocast("cpu", torch.bfloat16), spared:
            model(x)
    assert seen[0] == torch.float32, (
        "PEFT makes no copies under autocast now: delete finetune.adapters.workarounds.uncast"
    )
    assert seen[1] == torch.bfloat16


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

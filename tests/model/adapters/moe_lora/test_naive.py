"""The mixture of LoRA experts against a second version that loops over tokens and experts, in the whole model."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from model.adapters.moe_lora import MoeLoraConfig, aux_loss, expert_usage
from model.hub import tiny_folder
from model.qwen3_vl.processor import encode, load_processor

pytestmark = pytest.mark.training

PLACES = ("model.language_model.layers.1.self_attn.v_proj", "model.language_model.layers.2.mlp.down_proj")
WEIGHTS = ("A", "B", "router", "mixing")


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    """Two rows, one with a picture and one with text alone, which is padded on the left."""
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste("red", (10, 10, 40, 40))
    asked = [
        [{"type": "image", "image": picture}, {"type": "text", "text": "How many?"}],
        [{"type": "text", "text": "What is red?"}],
    ]
    turns = [[{"role": "user", "content": blocks}] for blocks in asked]
    processor = load_processor(tiny_folder())
    rows = [dict(encode(processor, turn)) for turn in turns]
    longest = max(row["input_ids"].shape[1] for row in rows)
    text = {
        name: torch.cat([nn.functional.pad(row[name], (longest - row[name].shape[1], 0)) for row in rows])
        for name in ("input_ids", "attention_mask", "mm_token_type_ids")
    }
    return {**text, "pixel_values": rows[0]["pixel_values"], "image_grid_thw": rows[0]["image_grid_thw"]}


def softmax(values: torch.Tensor) -> torch.Tensor:
    powers = (values - values.max()).exp()
    return powers / powers.sum()


def by_loops(
    config: MoeLoraConfig, weights: dict[str, torch.Tensor], x: torch.Tensor, real: torch.Tensor, visual: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the experts add, (B, T, out), and the load-balancing loss, one token and one expert at a time."""
    r, E, k = config.r, config.num_experts, config.top_k
    A, B = weights["A"], weights["B"]
    whole = config.router == "token"
    groups = [range(E)] if whole else [range(E // 2), range(E // 2, E)]  # pictures, text
    seen: list[list[tuple[torch.Tensor, list[int]]]] = [[] for _ in groups]
    rows = []
    for b in range(x.shape[0]):
        row = []
        features = [A @ x[b, t] * real[b, t] if config.token_mixing else A @ x[b, t] for t in range(x.shape[1])]
        for t in range(x.shape[1]):
            h = features[t]
            for back in range(min(config.token_mixing, t + 1)):
                h = h + weights["mixing"][back] * features[t - back]
            here = 0 if whole or visual[b, t] else 1
            experts = list(groups[here])
            if "router" in weights:
                p = softmax(torch.stack([weights["router"][e] @ x[b, t] for e in experts]))
            else:
                p = torch.ones(1)
            chosen = sorted(range(len(experts)), key=lambda i: -p[i].item())[:k]
            kept = sum(p[i] for i in chosen) if k > 1 else 1.0
            y = torch.zeros(B.shape[0])
            for i in chosen:
                of = slice(experts[i] * r, experts[i] * r + r)
                y = y + config.lora_alpha / r * p[i] / kept * (B[:, of] @ h[of])
            row.append(y)
            if real[b, t]:
                seen[here].append((p, chosen))
        rows.append(torch.stack(row))
    loss = torch.zeros(())
    for group, tokens in zip(groups, seen, strict=True):
        if len(group) <= k:
            continue
        for i in range(len(group)):
            f = sum(i in chosen for _, chosen in tokens) / (len(tokens) * k)
            loss = loss + len(group) * f * sum(p[i] for p, _ in tokens)  # times the number of tokens
    return torch.stack(rows), loss / sum(map(len, seen))


@pytest.mark.parametrize(
    "options",
    [
        {"num_experts": 4, "top_k": 2},
        {"num_experts": 3, "top_k": 1},
        {"num_experts": 3, "top_k": 3},
        {"num_experts": 4, "top_k": 1, "router": "modality"},
        {"num_experts": 6, "top_k": 2, "router": "modality"},
        {"num_experts": 2, "top_k": 1, "router": "modality"},
        {"num_experts": 2, "top_k": 1, "token_mixing": 3},
        {"num_experts": 1, "top_k": 1, "token_mixing": 2},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_output_gradients_and_balance_are_what_loops_say(batch: dict[str, Any], options: dict[str, Any]) -> None:
    from peft import get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    torch.manual_seed(0)
    config = MoeLoraConfig(
        r=2, lora_alpha=5, router_aux_loss_coef=0.3, target_modules=list(PLACES), init_weights=False,
        task_type="CAUSAL_LM", **options,
    )  # fmt: skip
    base = Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32)
    model = get_peft_model(base, config).train()
    layers: dict[str, Any] = {place: model.get_base_model().get_submodule(place) for place in PLACES}
    x: dict[str, torch.Tensor] = {}
    y: dict[str, torch.Tensor] = {}
    wanted: dict[str, torch.Tensor] = {}
    for place, layer in layers.items():
        if "default" in layer.moelora_router:
            layer.moelora_router["default"].data.mul_(4)  # far from even, so that it matters what is renormalised

        def keep(module: Any, args: Any, out: torch.Tensor, place: str = place) -> None:
            x[place], y[place] = args[0].detach(), out.detach()
            out.register_hook(lambda grad: wanted.__setitem__(place, grad))

        layer.register_forward_hook(keep)
    real, visual = batch["attention_mask"].bool(), batch["mm_token_type_ids"].bool()
    labels = batch["input_ids"].masked_fill(~real, -100)
    loss = model(**batch, labels=labels, use_cache=False).loss
    balance = aux_loss(model)
    (loss + balance).backward()

    balances = []
    for place, layer in layers.items():
        weights = {
            name: getattr(layer, f"moelora_{name}")["default"].detach().clone().requires_grad_()
            for name in WEIGHTS
            if "default" in getattr(layer, f"moelora_{name}")
        }
        delta, own = by_loops(config, weights, x[place], real, visual)
        with torch.no_grad():
            torch.testing.assert_close(layer.base_layer(x[place]) + delta, y[place], atol=1e-5, rtol=1e-4)
        ((delta * wanted[place]).sum() + 0.3 * own).backward()
        for name, weight in weights.items():
            assert weight.grad is not None and (weight.grad.abs().max() > 0)
            learned = getattr(layer, f"moelora_{name}")["default"].grad
            torch.testing.assert_close(learned, weight.grad, atol=1e-6, rtol=1e-3)
        balances.append(own.detach())
    torch.testing.assert_close(balance.detach(), 0.3 * sum(balances), atol=1e-6, rtol=1e-4)
    for usage in expert_usage(model).values():
        assert usage.tokens == int(real.sum())
        if options.get("router") == "modality":
            half = options["num_experts"] // 2
            assert sum(usage.shares[:half]) == pytest.approx(int(visual.sum()) / int(real.sum()))

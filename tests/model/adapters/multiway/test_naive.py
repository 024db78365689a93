"""Multiway beside a second version that goes token by token, head by head and expert by expert."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from model.adapters.multiway.attention import rotation, sections
from model.adapters.multiway.config import MultiwayConfig
from model.adapters.multiway.layer import Multiway
from model.adapters.multiway.passage import Passage

pytestmark = pytest.mark.training

HIDDEN = 12


def small(**options: Any) -> MultiwayConfig:
    given: dict[str, Any] = {
        "num_multiway_layers": 2, "num_fusion_layers": 1, "num_experts": 4, "top_k": 2, "expert_size": 5,
        "shared_expert_size": 6, "fusion_size": 7, "num_heads": 3, "head_dim": 4, "rope_dim": 8, "q_rank": 6,
        "kv_rank": 5, "rope_theta": 100.0, "init_weights": False, **options,
    }  # fmt: skip
    return MultiwayConfig(**given)


def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / (x.pow(2).mean() + 1e-6).sqrt() * weight


def turn(x: torch.Tensor, place: torch.Tensor, theta: float) -> torch.Tensor:
    """One token's rotary part: pairs of the first half and the second, turned by the axis whose frequency it is."""
    half = len(x) // 2
    time, height, _ = sections(len(x))
    out = [torch.zeros(()) for _ in x]
    for i in range(half):
        axis = 0 if i < time else 1 if i < time + height else 2
        angle = float(place[axis]) * theta ** (-2 * i / len(x))
        out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        out[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return torch.stack(out)


def gated(net: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return net["down_proj.weight"] @ (F.gelu(net["gate_proj.weight"] @ x) * (net["up_proj.weight"] @ x))


def part(weights: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


def experts(own: dict[str, torch.Tensor], x: torch.Tensor, config: MultiwayConfig) -> torch.Tensor:
    affinity = torch.sigmoid(own["centroids"] @ x)
    ranked = (affinity + own["bias"]).detach().argsort(descending=True).tolist()[: config.top_k]
    whole = sum((affinity[e] for e in ranked), torch.zeros(()))
    made = sum((gated(part(own, f"shared.{e}"), x) for e in range(config.num_shared_experts)), torch.zeros(HIDDEN))
    for e in ranked:
        made = made + gated(part(own, f"routed.{e}"), x) * affinity[e] / (whole if config.top_k > 1 else 1)
    return made


def naive(
    weights: dict[str, torch.Tensor], config: MultiwayConfig, x: torch.Tensor, places: torch.Tensor,
    visual: torch.Tensor, sees: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """One row x (T, H); places (3, T); visual (T,); sees (T, T)."""
    h = list(x)
    dn, dr = config.head_dim, config.rope_dim
    for number in range(config.num_layers):
        own = part(weights, f"blocks.{number}")
        attention = part(own, "attention")
        normed = [norm(token, own["attention_norm.weight"]) for token in h]
        added = []
        for t, token in enumerate(normed):
            query = attention["q_up.weight"] @ norm(attention["q_down.weight"] @ token, attention["q_norm.weight"])
            heads = []
            for a in range(config.num_heads):
                mine = query[a * (dn + dr) : (a + 1) * (dn + dr)]
                mine = torch.cat([mine[:dn], turn(mine[dn:], places[:, t], config.rope_theta)])
                scores, values = [], []
                for s in range(len(h)):
                    if not sees[t, s]:
                        continue
                    down = attention["kv_down.weight"] @ normed[s]
                    latent = norm(down[: config.kv_rank], attention["kv_norm.weight"])
                    up = (attention["kv_up.weight"] @ latent)[a * 2 * dn : (a + 1) * 2 * dn]
                    key = torch.cat([up[:dn], turn(down[config.kv_rank :], places[:, s], config.rope_theta)])
                    scores.append(mine @ key / math.sqrt(dn + dr))
                    values.append(up[dn:])
                shares = torch.stack(scores).softmax(0)
                heads.append((shares.unsqueeze(1) * torch.stack(values)).sum(0))
            added.append(attention["out.weight"] @ torch.cat(heads))
        h = [token + more for token, more in zip(h, added, strict=True)]
        for t, token in enumerate(h):
            normed_token = norm(token, own["mlp_norm.weight"])
            if number >= config.num_multiway_layers:
                h[t] = token + gated(part(own, "mlp"), normed_token)
            else:
                kind = "vision" if visual[t] else "text"
                h[t] = token + experts(part(own, f"mlp.{kind}"), normed_token, config)
    return x + weights["gate"] * (torch.stack(h) - x)


def passage(places: torch.Tensor, mask: torch.Tensor | None, visual: torch.Tensor | None) -> Passage:
    return Passage(None, positions=places, mask=mask, visual=visual)


@pytest.mark.parametrize(
    "options", [{}, {"top_k": 1}, {"num_shared_experts": 0}, {"num_fusion_layers": 0}, {"num_multiway_layers": 0}]
)
def test_outputs_and_gradients_are_those_of_the_slow_version(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    config = small(**options)
    module = Multiway(HIDDEN, config)
    for found in module.experts():
        found.bias.normal_(std=0.2)
    x, T = torch.randn(2, 7, HIDDEN), 7
    places = torch.randint(0, 9, (3, 2, T))
    visual = torch.rand(2, T) < 0.4
    sees = torch.tril(torch.rand(2, T, T) < 0.7) | torch.eye(T, dtype=torch.bool)
    wanted = torch.randn(2, T, HIDDEN)

    ((module.eval()(x, passage(places, sees.unsqueeze(1), visual), None) * wanted).sum()).backward()
    weights = {name: value.detach().clone().requires_grad_() for name, value in module.state_dict().items()}
    rows = [naive(weights, config, x[b], places[:, b], visual[b], sees[b]) for b in range(2)]
    found = module(x, passage(places, sees.unsqueeze(1), visual), None)
    assert torch.allclose(found, torch.stack(rows), atol=2e-5)
    (torch.stack(rows) * wanted).sum().backward()
    for name, parameter in module.named_parameters():
        slow = weights[name].grad
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, torch.zeros_like(parameter) if slow is None else slow, atol=2e-4), name


def test_without_a_mask_no_token_sees_a_later_one() -> None:
    torch.manual_seed(0)
    module = Multiway(HIDDEN, small()).eval()
    x, places = torch.randn(1, 6, HIDDEN), torch.arange(6).expand(3, 1, 6)
    first = module(x, passage(places, None, None), None)
    x[:, 4:] += 1
    assert torch.allclose(module(x, passage(places, None, None), None)[:, :4], first[:, :4], atol=1e-6)


def test_one_token_alone_is_read_as_it_is_among_others() -> None:
    """The two ways of computing attention: keys of every head, or the compressed ones."""
    torch.manual_seed(0)
    attention = Multiway(HIDDEN, small()).blocks[0].attention.eval()  # type: ignore[union-attr]
    x, turned = torch.randn(2, 5, HIDDEN), rotation(torch.arange(5).expand(3, 2, 5), 8, 100.0)
    with torch.no_grad():
        whole = attention(x, turned, None, None)
        last = rotation(torch.full((3, 2, 1), 4), 8, 100.0)
        earlier: list[torch.Tensor] = []

        def keep(*new: torch.Tensor) -> Any:
            if not earlier:
                earlier.extend(new)
                return new
            return [torch.cat(both, dim=2) for both in zip(earlier, new, strict=True)]

        attention(x[:, :4], rotation(torch.arange(4).expand(3, 2, 4), 8, 100.0), None, keep)
        assert torch.allclose(attention(x[:, 4:], last, None, keep), whole[:, 4:], atol=1e-6)


def test_an_expert_with_more_than_its_share_loses_and_the_others_gain() -> None:
    module = Multiway(HIDDEN, small(num_multiway_layers=1, num_experts=3, top_k=1, balance_rate=0.5)).train()
    text = next(module.experts())
    text.pending = torch.tensor([5.0, 1.0, 0.0])
    text.balance()
    assert text.bias.tolist() == [-0.5, 0.5, 0.5] and text.pending is None


def test_padding_is_not_counted_as_work() -> None:
    torch.manual_seed(0)
    module = Multiway(HIDDEN, small(num_multiway_layers=1)).train()
    told = passage(torch.arange(4).expand(3, 1, 4), None, torch.tensor([[True, False, False, False]]))
    told.counted = torch.tensor([[True, True, True, False]])
    module(torch.randn(1, 4, HIDDEN), told, None)
    text, vision = module.experts()
    assert text.used is not None and vision.used is not None
    assert (int(text.used.sum()), int(vision.used.sum())) == (4, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_experts": 2, "top_k": 3}, "top_k cannot be 3 among 2"),
        ({"num_multiway_layers": 0, "num_fusion_layers": 0}, "nothing is left"),
        ({"rope_dim": 7}, "even number"),
        ({"expert_size": 0}, "whole number from 1"),
        ({"dropout": 1.0}, "share"),
        ({"target_modules": "q_proj"}, "leave it out"),
    ],
)
def test_values_that_make_no_module_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        small(**options)

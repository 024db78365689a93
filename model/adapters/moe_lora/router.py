"""Which experts work for a token, with which weight, and how evenly they are used. It holds no weights.

Letters for shapes: ... the tokens' own, such as B, T; E experts, G experts of a group (E, or E / 2 with the modality
router), k experts of a token.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Group:
    """Experts that compete for the same tokens."""

    gates: torch.Tensor
    """(..., G): weight of each expert, zero for those that do not work."""
    probabilities: torch.Tensor
    """(..., G): the router's softmax."""
    members: torch.Tensor | None
    """(...): true for the tokens that choose here; none where all do."""


def route(
    logits: torch.Tensor, top_k: int, visual: torch.Tensor | None = None, *, modality: bool = False
) -> list[Group]:
    """Choose the experts of each token.

    The weights of the chosen are renormalised to the sum 1 (D. Lepikhin et al., "GShard", 2020, section 2.2; A. Q.
    Jiang et al., "Mixtral of Experts", 2024, section 2.1). With `top_k` 1 that would be the constant 1, from which the
    router learns nothing, so that the weight stays the probability (W. Fedus et al., "Switch Transformers", 2021,
    equation 2).

    Args:
        logits: (..., E), float32.
        top_k: Experts of a token.
        visual: (...), which tokens are pictures; none where all are text.
        modality: The first half of the experts is for pictures, the second for text (H. Bao et al., "VLMo", 2021,
            section 2.2: mixture of modality experts).

    Returns:
        One group, or those of pictures and of text.
    """
    if not modality:
        return [Group(*_choose(logits, top_k), None)]
    half = logits.shape[-1] // 2
    if visual is None:
        visual = torch.zeros(logits.shape[:-1], dtype=torch.bool, device=logits.device)
    groups = []
    for members, own in ((visual, logits[..., :half]), (~visual, logits[..., half:])):
        gates, probabilities = _choose(own, top_k)
        groups.append(Group(gates * members.unsqueeze(-1), probabilities, members))
    return groups


def _choose(logits: torch.Tensor, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = logits.softmax(-1)
    if top_k == logits.shape[-1]:
        return probabilities, probabilities
    weights, experts = probabilities.topk(top_k, dim=-1)
    if top_k > 1:
        weights = weights / weights.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, experts, weights), probabilities


def router_logits(x: torch.Tensor, weight: torch.Tensor, dropout: nn.Module) -> torch.Tensor:
    """Return (..., E) in float32, as Switch Transformers do (Fedus et al., 2021, section 2.4), whatever the features'.

    Args:
        x: (..., in), the layer's input.
        weight: (E, in).
        dropout: Of what the router reads.
    """
    if x.dtype == torch.float32 or not isinstance(dropout, nn.Identity):
        return F.linear(dropout(x.float()), weight.float())
    logits: torch.Tensor = _Product.apply(x, weight)
    return logits


class _Product(torch.autograd.Function):
    """The product in float32 of an input that is kept for the way back as it is, half as large."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x.float(), weight.float())

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        x, weight = ctx.saved_tensors
        (grad,) = grads
        into_x = (grad @ weight.float()).to(x.dtype) if ctx.needs_input_grad[0] else None
        into_weight = None
        if ctx.needs_input_grad[1]:
            into_weight = (grad.flatten(0, -2).T @ x.flatten(0, -2).float()).to(weight.dtype)
        return into_x, into_weight


def balance_loss(groups: list[Group], top_k: int, counted: torch.Tensor | None = None) -> torch.Tensor:
    r"""Return how unevenly the experts are used; 1 where they are used evenly, whatever E and k.

    The load-balancing loss of the Switch Transformer (Fedus et al., 2021, equations 4 to 6), :math:`E \sum_i f_i P_i`,
    where P_i is the mean probability of expert i and f_i the share of the choices that fell on it, of which a token
    makes k instead of one. Groups count by their tokens. Zero where a group has no more than k experts: there is
    nothing to balance.

    Args:
        groups: What `route` gave.
        top_k: As there.
        counted: (...), false for tokens that do not count, such as padding.
    """
    total = torch.zeros((), device=groups[0].gates.device)
    tokens = torch.zeros((), device=groups[0].gates.device)
    for group in groups:
        size = group.gates.shape[-1]
        weights = _weights(group, counted)  # (...)
        number = weights.sum()
        tokens = tokens + number
        if size <= top_k:
            continue
        along = tuple(range(weights.ndim))
        chosen = (group.gates > 0).float()
        shares = (chosen * weights.unsqueeze(-1)).sum(along) / (top_k * number).clamp_min(1)  # (G,)
        means = (group.probabilities * weights.unsqueeze(-1)).sum(along) / number.clamp_min(1)  # (G,)
        total = total + number * size * (shares.detach() * means).sum()
    return total / tokens.clamp_min(1)


def _weights(group: Group, counted: torch.Tensor | None) -> torch.Tensor:
    masks = [mask for mask in (group.members, counted) if mask is not None]
    if not masks:
        return torch.ones(group.gates.shape[:-1], device=group.gates.device)
    weights = masks[0].float()
    for mask in masks[1:]:
        weights = weights * mask
    return weights

r"""Experts of one modality: some that work for all of its tokens, and routed ones of which each token has a few.

As DeepSeekMoE (D. Dai et al., 2024, section 3) with the sigmoid affinities of DeepSeek-V3 (2024, equations 12 to 15):
a token's experts are the `top_k` largest of s + b, and their weights are s, made to sum up to 1; b is no weight but a
bias that is lowered where an expert had more than its share and raised where it had less (L. Wang et al.,
"Auxiliary-loss-free load balancing", 2024, algorithm 1).

Letters for shapes: N tokens, H width of the model, E routed experts.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from model.adapters.multiway.config import MultiwayConfig


class GatedMlp(nn.Module):
    """A gated network of one hidden layer, (N, H) to (N, H)."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of each token."""
        made: torch.Tensor = self.down_proj(F.gelu(self.gate_proj(x)) * self.up_proj(x))
        return made


class Experts(nn.Module):
    """The experts of one modality and their router."""

    bias: torch.Tensor

    def __init__(self, hidden: int, config: "MultiwayConfig") -> None:
        super().__init__()
        self.top_k, self.rate = config.top_k, config.balance_rate
        self.centroids = nn.Parameter(torch.empty(config.num_experts, hidden))
        nn.init.normal_(self.centroids, std=math.sqrt(0.006))
        self.register_buffer("bias", torch.zeros(config.num_experts))
        self.routed = nn.ModuleList(
            GatedMlp(hidden, config.expert_size or max(1, hidden // 4)) for _ in range(config.num_experts)
        )
        self.shared = nn.ModuleList(
            GatedMlp(hidden, config.shared_expert_size or hidden) for _ in range(config.num_shared_experts)
        )
        self.pending: torch.Tensor | None = None
        """(E,): how often each was chosen in the last pass of training, of which the bias knows nothing yet."""
        self.used: torch.Tensor | None = None
        """(E,): the same since the log was last written."""

    def forward(self, x: torch.Tensor, counted: torch.Tensor | None) -> torch.Tensor:
        """Return what the experts make of the tokens (N, H).

        Args:
            x: (N, H).
            counted: (N,), false for padding, which has experts and is not balanced; none where nothing is.
        """
        gates = self._route(x, counted)  # (N, E)
        made = torch.zeros_like(x)
        for expert in self.shared:
            made = made + expert(x)
        for number, expert in enumerate(self.routed):
            # An expert without tokens computes too, of nothing: its gradient is zero then, and not missing, which
            # several processes that train together would wait for.
            rows = gates[:, number].nonzero().squeeze(1)
            weighed = expert(x[rows]) * gates[rows, number].unsqueeze(1).to(x.dtype)
            made = made.index_add(0, rows, weighed.to(made.dtype))
        return made

    def balance(self) -> None:
        """Move the bias by what the last pass of training chose.

        Before the next one and not within it: a checkpointed pass is computed again on the way back, and must choose
        the same experts.
        """
        if self.pending is not None and self.rate:
            with torch.no_grad():
                self.bias -= self.rate * torch.sign(self.pending - self.pending.mean()).to(self.bias)
        self.pending = None

    def _route(self, x: torch.Tensor, counted: torch.Tensor | None) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):  # a choice must not hang on rounding
            affinity = F.linear(x.float(), self.centroids.float()).sigmoid()  # (N, E)
            chosen = (affinity + self.bias.float()).topk(self.top_k, dim=-1).indices  # (N, k)
            weights = affinity.gather(-1, chosen)
            if self.top_k > 1:  # one alone would weigh 1 whatever the router says, which would learn nothing
                weights = weights / weights.sum(-1, keepdim=True)
            gates = torch.zeros_like(affinity).scatter(-1, chosen, weights)
        if self.training and torch._C._current_graph_task_id() == -1:  # not while the backward pass computes it again
            self._note(gates, counted)
        return gates

    @torch.no_grad()
    def _note(self, gates: torch.Tensor, counted: torch.Tensor | None) -> None:
        work = (gates > 0).float()
        if counted is not None:
            work = work * counted.unsqueeze(1)
        work = work.sum(0)
        self.pending = work if self.pending is None else self.pending + work
        self.used = work if self.used is None else self.used + work


class ModalityExperts(nn.Module):
    """Text tokens to the experts of text, tokens of pictures and videos to theirs."""

    def __init__(self, hidden: int, config: "MultiwayConfig") -> None:
        super().__init__()
        self.text = Experts(hidden, config)
        self.vision = Experts(hidden, config)

    def forward(self, x: torch.Tensor, visual: torch.Tensor | None, counted: torch.Tensor | None) -> torch.Tensor:
        """Return (B, T, H).

        Args:
            x: (B, T, H).
            visual: (B, T), true where a picture is; none where all is text.
            counted: (B, T), false for padding; none where nothing is.
        """
        flat = x.flatten(0, 1)
        counts = None if counted is None else counted.flatten()
        if visual is None and not self.training:
            made: torch.Tensor = self.text(flat, counts)
            return made.view_as(x)
        sees = torch.zeros(len(flat), dtype=torch.bool, device=x.device) if visual is None else visual.flatten()
        made = torch.zeros_like(flat)
        for experts, own in ((self.text, ~sees), (self.vision, sees)):
            rows = own.nonzero().squeeze(1)
            done = experts(flat[rows], None if counts is None else counts[rows])
            made = made.index_add(0, rows, done.to(made.dtype))
        return made.view_as(x)

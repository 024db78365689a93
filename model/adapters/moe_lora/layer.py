r"""A linear layer with a mixture of LoRA experts beside it.

For the features h of a token, with experts e of rank r and the gates g of the router,

.. math:: y = W h + \frac{\alpha}{r} \sum_e g_e(h) B_e A_e h

as in MixLoRA (D. Li et al., 2024, section 3) with LoRA's own start, B = 0 (E. Hu et al., "LoRA", 2021, section 4.1).
The experts are stacked, A to (E r, in) and B to (out, E r), so that two matrix products do for all of them and a gate
is a factor on r of the features in between.

Letters for shapes: B rows, T tokens, E experts, r rank.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.nn import functional as F

from model.adapters.moe_lora.mixing import Rows, mix
from model.adapters.moe_lora.router import Group, balance_loss, route, router_logits
from model.adapters.moe_lora.tokens import Notice, Tokens
from model.errors import ModelError

if TYPE_CHECKING:
    from model.adapters.moe_lora.config import MoeLoraConfig

BASE = "__base__"
ROUTER_STD = 0.02  # transformers' initializer_range: close to even, and no two experts alike


class AuxLossLost(ModelError):
    """The load-balancing loss has no gradient although its router is trained."""

    def __init__(self) -> None:
        super().__init__(
            "The load-balancing loss of MoE-LoRA lost its gradient, as under reentrant checkpointing; set "
            'gradient_checkpointing_kwargs to {"use_reentrant": False}, and call aux_loss before the backward pass.'
        )


class MergeRefused(ModelError):
    """Experts that are chosen token by token have no one matrix that does the same."""

    def __init__(self) -> None:
        super().__init__(
            "MoE-LoRA cannot be merged into the weights: which experts work is decided for each token. Load the "
            "adapter beside the base model, or write an approximation with "
            "`lorgnette finetune export ADAPTER --to DIR --approximate-merge --data FILE`."
        )


class WeighingRefused(ModelError):
    """Mixtures have routers of their own, of which no weighted sum does what the sum of their outputs does."""

    def __init__(self) -> None:
        super().__init__(
            "MoE-LoRA adapters cannot be summed into one: each has routers of its own. Put them on together with "
            "model.base_model.set_adapter([...]), or give each row its own by adapter_names=[...]."
        )


class MoeLoraLayer(BaseTunerLayer):
    """The adapter's part of a layer: weights and settings of every adapter by its name."""

    # PEFT's own, which mypy does not see
    active_adapters: list[str]
    merged_adapters: list[str]
    _cast_input_dtype: Callable[[torch.Tensor, torch.dtype], torch.Tensor]

    adapter_layer_names = ("moelora_A", "moelora_B", "moelora_router", "moelora_mixing")
    other_param_names = ("moelora_config", "moelora_dropout", "moelora_router_dropout", "aux", "usage")

    def __init__(self, base_layer: nn.Linear, key: str, notice: Notice | None) -> None:
        self.base_layer = base_layer
        self.in_features, self.out_features = base_layer.in_features, base_layer.out_features
        self.key = key
        """Dotted name, under which the features of earlier tokens are kept."""
        self.notice = notice
        """What is known of the tokens; none outside of the language model."""
        self.counting = False
        """Whether the use of experts is counted in evaluation too."""
        self.moelora_A = nn.ParameterDict()
        self.moelora_B = nn.ParameterDict()
        self.moelora_router = nn.ParameterDict()
        self.moelora_mixing = nn.ParameterDict()
        self.moelora_dropout = nn.ModuleDict()
        self.moelora_router_dropout = nn.ModuleDict()
        self.moelora_config: dict[str, MoeLoraConfig] = {}
        self.aux: dict[str, torch.Tensor] = {}
        """Load-balancing loss of the last forward pass in training, without its coefficient."""
        self.usage: dict[str, torch.Tensor] = {}
        """(2, E + 1): how often each expert was chosen and by how many tokens; the sum of its gates, and again."""
        self._disable_adapters = False
        self.merged_adapters = []

    def update_layer(self, name: str, config: "MoeLoraConfig") -> None:
        """Make the weights of an adapter, or make them anew."""
        rank = config.num_experts * config.r
        self.moelora_config[name] = config
        self.moelora_dropout[name] = nn.Dropout(config.lora_dropout) if config.lora_dropout else nn.Identity()
        self.moelora_router_dropout[name] = (
            nn.Dropout(config.router_dropout) if config.router_dropout else nn.Identity()
        )
        self.moelora_A[name] = nn.Parameter(torch.empty(rank, self.in_features))
        self.moelora_B[name] = nn.Parameter(torch.zeros(self.out_features, rank))
        nn.init.kaiming_uniform_(self.moelora_A[name], a=math.sqrt(5))
        if not config.init_weights:
            nn.init.normal_(self.moelora_B[name], std=ROUTER_STD)
        if config.has_router:
            self.moelora_router[name] = nn.Parameter(torch.empty(config.num_experts, self.in_features))
            nn.init.normal_(self.moelora_router[name], std=ROUTER_STD)
        if config.token_mixing:
            self.moelora_mixing[name] = nn.Parameter(torch.zeros(config.token_mixing, rank))
            if not config.init_weights:
                nn.init.normal_(self.moelora_mixing[name], std=0.5)
        self._move_adapter_to_device_of_base_layer(name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse it."""
        raise MergeRefused

    def unmerge(self) -> None:
        """Do nothing: it never was merged."""


class MoeLoraLinear(nn.Module, MoeLoraLayer):
    """`nn.Linear`, of 4 or 8 bits too, and the experts of the active adapters."""

    def __init__(
        self, base_layer: nn.Linear, adapter_name: str, config: "MoeLoraConfig", key: str, notice: Notice | None
    ) -> None:
        super().__init__()
        MoeLoraLayer.__init__(self, base_layer, key, notice)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy gets: not the last batch's loss, whose graph cannot be copied."""
        return {**super().__getstate__(), "aux": {}}

    def forward(
        self, x: torch.Tensor, *args: Any, adapter_names: list[str] | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """Return (B, T, out), or (T, out) in a vision tower; `adapter_names` gives each row an adapter of its own.

        Raises:
            ValueError: There are not as many names as rows.
        """
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        tokens = self._tokens(x)
        if adapter_names is not None:
            return self._mixed(x, result, adapter_names, tokens)
        for name in self.active_adapters:
            if name in self.moelora_A:
                result = (result + self._delta(name, x, tokens, None)).to(result.dtype)
        return result

    def _mixed(self, x: torch.Tensor, result: torch.Tensor, adapter_names: list[str], tokens: Tokens) -> torch.Tensor:
        if len(adapter_names) != len(x):
            raise ValueError(f"adapter_names has {len(adapter_names)} names for {len(x)} rows; give one a row")
        for name in sorted(set(adapter_names) - {BASE}):
            if name in self.moelora_A:
                rows = torch.tensor([i for i, n in enumerate(adapter_names) if n == name], device=x.device)
                delta = self._delta(name, x[rows], tokens.rows(rows), Rows(rows, len(x)))
                result = result.index_copy(0, rows, (result[rows] + delta).to(result.dtype))
        return result

    def _delta(self, name: str, x: torch.Tensor, tokens: Tokens, rows: Rows | None) -> torch.Tensor:
        config, A, B = self.moelora_config[name], self.moelora_A[name], self.moelora_B[name]
        h = self._cast_input_dtype(x, A.dtype)
        features = F.linear(self.moelora_dropout[name](h), A)  # (B, T, E r)
        if name in self.moelora_mixing:
            assert self.notice is not None, "mixing is refused outside of the language model"
            kernel = self.moelora_mixing[name]
            features = mix(features, kernel, tokens, f"{self.key}:{name}", self.notice.layers, rows)
        scaling = config.lora_alpha / config.r
        if config.num_experts > 1:
            groups = self._route(name, x, tokens)
            gates = torch.cat([group.gates for group in groups], dim=-1)  # (B, T, E)
            factors = (gates * scaling).to(features.dtype).unsqueeze(-1)
            features = (features.unflatten(-1, (config.num_experts, config.r)) * factors).flatten(-2)
            self._note(name, groups, gates, tokens)
        else:
            features = features * scaling
        return F.linear(features, B)

    def _route(self, name: str, x: torch.Tensor, tokens: Tokens) -> list[Group]:
        config = self.moelora_config[name]
        with torch.autocast(x.device.type, enabled=False):  # a choice must not hang on rounding
            if config.has_router:
                logits = router_logits(x, self.moelora_router[name], self.moelora_router_dropout[name])
            else:
                logits = torch.zeros(*x.shape[:-1], config.num_experts, device=x.device)
            return route(logits, config.top_k, tokens.visual, modality=config.router == "modality")

    def _note(self, name: str, groups: list[Group], gates: torch.Tensor, tokens: Tokens) -> None:
        """Keep the loss and the counts, but not those of a checkpointed layer that is computed again."""
        config = self.moelora_config[name]
        again = torch._C._current_graph_task_id() != -1  # the backward pass runs
        if self.training and config.balances:
            # Computed then too: a checkpoint expects the same tensors both times.
            aux = balance_loss(groups, config.top_k, tokens.counted)
            if not again:
                self.aux[name] = aux
        if (self.training or self.counting) and not again:
            with torch.no_grad():
                self._count(name, gates, tokens.counted)

    def _count(self, name: str, gates: torch.Tensor, counted: torch.Tensor | None) -> None:
        flat = gates.flatten(0, -2)  # (B T, E)
        one = torch.ones(len(flat), 1, device=flat.device)
        if counted is not None:
            one = counted.reshape(-1, 1).float()
            flat = flat * one
        sums = torch.stack([torch.cat([part, one], dim=1).sum(0) for part in ((flat > 0).float(), flat)])
        self.usage[name] = self.usage[name] + sums if name in self.usage else sums

    def _tokens(self, x: torch.Tensor) -> Tokens:
        return Tokens() if self.notice is None else self.notice.tokens

    def __repr__(self) -> str:
        return "moelora." + super().__repr__()

"""What a mixture of LoRA experts is made of; it is saved as `adapter_config.json` beside the weights.

Checks values against each other. Whether they fit a model is seen when they are put on one.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from peft.config import PeftConfig

from model.adapters.moe_lora.peft_type import peft_type

peft_type()  # so that what is unpickled in another process finds the name, too
Router = Literal["token", "modality"]


@dataclass
class MoeLoraConfig(PeftConfig):
    """A PEFT configuration; wrong values raise ValueError, as PEFT's own do.

    Raises:
        ValueError: A value out of range, or two that do not go together.
    """

    r: int = field(default=8, metadata={"help": "Rank of each expert."})
    lora_alpha: float = field(default=16, metadata={"help": "The experts' output is scaled by lora_alpha / r."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout on the experts' input while training."})
    num_experts: int = field(
        default=4, metadata={"help": "Experts in all; with the modality router one half is for pictures."}
    )
    top_k: int = field(default=2, metadata={"help": "Experts that work for a token."})
    router: Router = field(
        default="token",
        metadata={"help": "token: any expert for any token; modality: pictures and text have experts of their own."},
    )
    router_aux_loss_coef: float = field(default=0.01, metadata={"help": "Weight of the load-balancing loss."})
    router_dropout: float = field(default=0.0, metadata={"help": "Dropout on the router's input while training."})
    token_mixing: int = field(
        default=0, metadata={"help": "Tokens, this one included, that the mixing looks back on; 0 = no mixing."}
    )
    target_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Names or a regular expression, as in LoRA; none = attention of the text."}
    )
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "As in LoRA."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Trained and saved whole, as in LoRA."})
    bias: Literal["none", "all", "moelora_only"] = field(default="none", metadata={"help": "As in LoRA."})
    init_weights: bool = field(
        default=True, metadata={"help": "Begin as the base model; false draws B at random, for tests."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = peft_type()
        # PEFT matches names in a set, and a regular expression in a string.
        self.target_modules: Any = _as_set(self.target_modules)
        self.exclude_modules: Any = _as_set(self.exclude_modules)
        self._check()

    @property
    def group_size(self) -> int:
        """Among how many experts a token's are chosen."""
        return self.num_experts // 2 if self.router == "modality" else self.num_experts

    @property
    def has_router(self) -> bool:
        """Whether there is anything to choose."""
        return self.group_size > 1

    @property
    def balances(self) -> bool:
        """Whether some experts of a token's are left out, so that they may be used unevenly."""
        return self.router_aux_loss_coef > 0 and self.group_size > self.top_k

    def _check(self) -> None:
        if self.router not in ("token", "modality"):
            raise ValueError(f"router cannot be {self.router!r}; it is 'token' or 'modality'")
        for name, least in (("r", 1), ("num_experts", 1), ("top_k", 1), ("token_mixing", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} cannot be {value!r}; it is a whole number from {least}")
        if self.router == "modality" and self.num_experts % 2:
            raise ValueError(f"num_experts cannot be {self.num_experts} with the modality router; it takes an even one")
        if self.top_k > self.group_size:
            among = f"{self.group_size} of a modality" if self.router == "modality" else f"{self.num_experts}"
            raise ValueError(f"top_k cannot be {self.top_k} among {among}; lower it or raise num_experts")
        if self.token_mixing == 1:
            raise ValueError("token_mixing cannot be 1, which looks back on nothing; it is 0 or from 2")
        for name in ("lora_dropout", "router_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} cannot be {getattr(self, name)!r}; it is a share from 0 to below 1")
        if self.router_aux_loss_coef < 0:
            raise ValueError(f"router_aux_loss_coef cannot be {self.router_aux_loss_coef!r}; it is not negative")


def _as_set(names: Any) -> Any:
    return set(names) if isinstance(names, list | tuple) else names

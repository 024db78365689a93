"""What a Multiway module is made of; it is saved as `adapter_config.json` beside the weights.

Checks values against each other. Sizes that are left out are made of the model's when it is put on one.
"""

from dataclasses import dataclass, field
from typing import Any

from peft.config import PeftConfig

from model.adapters.peft_type import add_peft_type

NAME = "multiway"
FIRST_LAYER = r"(.*language_model\.)?layers\.0"
"""The decoder's first layer, in front of which the module stands."""

add_peft_type(NAME)  # so that what is unpickled in another process finds the name, too


@dataclass
class MultiwayConfig(PeftConfig):
    """A PEFT configuration; wrong values raise ValueError, as PEFT's own do.

    Raises:
        ValueError: A value out of range, or two that do not go together.
    """

    num_multiway_layers: int = field(
        default=4, metadata={"help": "Layers whose experts are apart for text and pictures."}
    )
    num_fusion_layers: int = field(default=2, metadata={"help": "Layers behind them, with one network for all tokens."})
    num_experts: int = field(default=7, metadata={"help": "Routed experts of each modality in each layer."})
    top_k: int = field(default=3, metadata={"help": "Routed experts that work for a token."})
    num_shared_experts: int = field(default=1, metadata={"help": "Experts of each modality that work for all of it."})
    expert_size: int | None = field(
        default=None, metadata={"help": "Width of a routed expert; none = a quarter of the model's."}
    )
    shared_expert_size: int | None = field(
        default=None, metadata={"help": "Width of a shared expert; none = the model's."}
    )
    fusion_size: int | None = field(
        default=None, metadata={"help": "Width of a fusion layer's network; none = four times the model's."}
    )
    num_heads: int = field(default=16, metadata={"help": "Attention heads."})
    head_dim: int = field(default=128, metadata={"help": "Of a head's part without position, and of its values."})
    rope_dim: int = field(default=64, metadata={"help": "Of a head's part with position, which all heads share."})
    q_rank: int = field(default=128, metadata={"help": "To which queries are compressed."})
    kv_rank: int = field(default=256, metadata={"help": "To which keys and values are compressed; this is cached."})
    rope_theta: float = field(default=1e6, metadata={"help": "Base of the rotary frequencies."})
    balance_rate: float = field(
        default=1e-4, metadata={"help": "Step of the routers' balancing bias, after each pass in training; 0 = none."}
    )
    dropout: float = field(default=0.0, metadata={"help": "Dropout on what each part adds, while training only."})
    target_modules: str = field(
        default=FIRST_LAYER, metadata={"help": "The decoder's first layer; nothing else is possible."}
    )
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Trained and saved whole, as in LoRA."})
    init_weights: bool = field(
        default=True, metadata={"help": "Begin as the base model; false opens the gate at random, for tests."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type: Any = add_peft_type(NAME)
        self._check()

    def _check(self) -> None:
        least = {
            "num_multiway_layers": 0, "num_fusion_layers": 0, "num_experts": 1, "top_k": 1, "num_shared_experts": 0,
            "num_heads": 1, "head_dim": 1, "q_rank": 1, "kv_rank": 1,
        }  # fmt: skip
        for name, lowest in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise ValueError(f"{name} cannot be {value!r}; it is a whole number from {lowest}")
        self._check_widths()
        if self.num_multiway_layers + self.num_fusion_layers == 0:
            raise ValueError("num_multiway_layers and num_fusion_layers are both 0, and nothing is left")
        if self.top_k > self.num_experts:
            raise ValueError(f"top_k cannot be {self.top_k} among {self.num_experts}; lower it or raise num_experts")
        if self.balance_rate < 0:
            raise ValueError(f"balance_rate cannot be {self.balance_rate!r}; it is not negative")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout cannot be {self.dropout!r}; it is a share from 0 to below 1")
        if self.target_modules != FIRST_LAYER:
            raise ValueError("target_modules is the decoder's first layer in every Multiway module; leave it out")

    def _check_widths(self) -> None:
        for name in ("expert_size", "shared_expert_size", "fusion_size"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name} cannot be {value!r}; it is a whole number from 1, or left out")
        if not isinstance(self.rope_dim, int) or self.rope_dim < 8 or self.rope_dim % 2:
            raise ValueError(f"rope_dim cannot be {self.rope_dim!r}; it is an even number from 8")

    @property
    def num_layers(self) -> int:
        """Of both kinds."""
        return self.num_multiway_layers + self.num_fusion_layers

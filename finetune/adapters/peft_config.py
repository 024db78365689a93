"""From the configuration's keys of the adapter to PEFT's own configuration. It touches no model."""

from typing import TYPE_CHECKING, Any

from finetune.adapters.targets import FEEDFORWARD, find_targets
from finetune.config.schema import AdapterConfig, ModelConfig
from finetune.errors import FinetuneError
from model.adapters import register_tuners

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedTokenizerBase


class AdapterRefused(FinetuneError):
    """A combination of the adapter's keys that its tuner cannot be made with."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"The adapter ({kind}) cannot be made: {reason.rstrip('.')}; correct its keys.")


def build_peft_config(
    adapter: AdapterConfig, model: ModelConfig, tokenizer: "PreTrainedTokenizerBase | None" = None
) -> "PeftConfig":
    """Return PEFT's configuration of a new adapter.

    Raises:
        ValueError: An activated LoRA without a tokenizer.
    """
    from peft import IA3Config, LoraConfig

    register_tuners()
    saved = list(adapter.additional_target) or None
    if adapter.finetuning_type == "multiway":
        from model.adapters.multiway import MultiwayConfig

        return MultiwayConfig(
            num_multiway_layers=adapter.num_multiway_layers, num_fusion_layers=adapter.num_fusion_layers,
            num_experts=adapter.num_experts, top_k=adapter.top_k, num_shared_experts=adapter.num_shared_experts,
            expert_size=adapter.expert_size, shared_expert_size=adapter.shared_expert_size,
            fusion_size=adapter.fusion_size, num_heads=adapter.attention_heads, head_dim=adapter.attention_head_dim,
            rope_dim=adapter.attention_rope_dim, q_rank=adapter.q_rank, kv_rank=adapter.kv_rank,
            balance_rate=adapter.balance_rate, dropout=adapter.lora_dropout, modules_to_save=saved,
            task_type="CAUSAL_LM",
        )  # fmt: skip
    targets = find_targets(adapter.lora_target, model)
    if adapter.finetuning_type == "ia3":
        if isinstance(targets, str):
            feedforward: str | list[str] = rf".*\.({'|'.join(FEEDFORWARD)})"
        else:
            feedforward = [name for name in targets if name in FEEDFORWARD]
        return IA3Config(
            target_modules=targets, feedforward_modules=feedforward, modules_to_save=saved, task_type="CAUSAL_LM"
        )
    alpha = 2 * adapter.lora_rank if adapter.lora_alpha is None else adapter.lora_alpha
    common: dict[str, Any] = {
        "r": adapter.lora_rank, "lora_alpha": alpha, "lora_dropout": adapter.lora_dropout,
        "target_modules": targets, "modules_to_save": saved, "task_type": "CAUSAL_LM",
    }  # fmt: skip
    if adapter.finetuning_type == "moe_lora":
        from model.adapters.moe_lora import MoeLoraConfig

        return MoeLoraConfig(
            **common, num_experts=adapter.num_experts, top_k=adapter.top_k, router=adapter.router,
            router_aux_loss_coef=adapter.router_aux_loss_coef, router_dropout=adapter.router_dropout,
            token_mixing=adapter.token_mixing,
        )  # fmt: skip
    if adapter.finetuning_type == "alora":
        if tokenizer is None:
            raise ValueError("an activated LoRA needs the tokenizer for its invocation tokens")
        tokens = tokenizer(adapter.alora_invocation, add_special_tokens=False)["input_ids"]
        return LoraConfig(**common, use_rslora=adapter.use_rslora, alora_invocation_tokens=tokens)
    if adapter.pissa_init:  # half of the rank takes away what the base keeps; the scale stays that of lora_rank
        doubled = 2**0.5 if adapter.use_rslora else 2
        common |= {"r": 2 * adapter.lora_rank, "lora_alpha": alpha * doubled}
    return LoraConfig(**common, use_rslora=adapter.use_rslora, use_dora=adapter.use_dora)

"""How many numbers each adapter trains on the true shapes: counted on layers without weights, not worked out.

`python -m benchmarks.adapter_counts` builds each adapter with PEFT on the meta device, in seconds and without memory.
"""

import logging
import warnings
from typing import Any

from benchmarks.report import publish

ATTENTION = r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"
TEXT = r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)|mlp\.(gate|up|down))_proj"
TOWER = r"model\.visual\.blocks\.\d+\.attn\.(qkv|proj)"
LORA, EXPERTS, MULTIWAY = "lora", "moe_lora", "multiway"
ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA r=8, attention": (LORA, {"r": 8, "target_modules": ATTENTION}),
    "LoRA r=16, attention": (LORA, {"r": 16, "target_modules": ATTENTION}),
    "LoRA r=8, attention and MLP": (LORA, {"r": 8, "target_modules": TEXT}),
    "LoRA r=8, all linear layers": (LORA, {"r": 8, "target_modules": "all-linear"}),
    "LoRA r=8, attention of the vision tower": (LORA, {"r": 8, "target_modules": TOWER}),
    "DoRA r=8, attention": (LORA, {"r": 8, "target_modules": ATTENTION, "use_dora": True}),
    "IA3, keys, values and MLP": (
        "ia3",
        {"target_modules": r".*language_model.*\.(k|v|down)_proj", "feedforward_modules": r".*\.down_proj"},
    ),
    "MoE-LoRA 2 experts r=8": (EXPERTS, {"r": 8, "num_experts": 2, "target_modules": ATTENTION}),
    "MoE-LoRA 2 experts r=8, one a modality": (
        EXPERTS,
        {"r": 8, "num_experts": 2, "top_k": 1, "router": "modality", "target_modules": ATTENTION},
    ),
    "MoE-LoRA 3 experts r=4": (EXPERTS, {"r": 4, "num_experts": 3, "target_modules": ATTENTION}),
    "MoE-LoRA 4 experts r=2": (EXPERTS, {"r": 2, "num_experts": 4, "target_modules": ATTENTION}),
    "MoE-LoRA 4 experts r=4": (EXPERTS, {"r": 4, "num_experts": 4, "target_modules": ATTENTION}),
    "MoE-LoRA 4 experts r=8": (EXPERTS, {"r": 8, "num_experts": 4, "target_modules": ATTENTION}),
    "Multiway, sizes of MultiwayQwen": (MULTIWAY, {}),
    "Multiway, sizes of examples/finetune/multiway.yaml": (
        MULTIWAY,
        {"expert_size": 256, "shared_expert_size": 512, "fusion_size": 2048},
    ),
    "MoE-LoRA 4 experts r=4, mixing 3 tokens": (
        EXPERTS,
        {"r": 4, "num_experts": 4, "token_mixing": 3, "target_modules": ATTENTION},
    ),
}


def main() -> None:
    """Count, print, write."""
    from model.qwen3_vl.shapes import SHAPES

    rows = [
        {
            "adapter": name,
            **{f"{size} parameters": f"{count(name, size):,}" for size in SHAPES},
            "share of 4B": f"{count(name, '4B') / SHAPES['4B'].parameters:.3%}",
        }
        for name in ADAPTERS
    ]
    publish("adapter_counts", "Numbers that each adapter trains, counted on the meta device", rows)


def count(name: str, size: str) -> int:
    """Return how many numbers the adapter trains on `2B` or `4B`."""
    from peft import IA3Config, LoraConfig, get_peft_model

    from model.adapters.moe_lora import MoeLoraConfig
    from model.adapters.multiway import MultiwayConfig
    from model.qwen3_vl.shapes import SHAPES, build_config, build_on_meta

    kind, options = ADAPTERS[name]
    config = {LORA: LoraConfig, EXPERTS: MoeLoraConfig, MULTIWAY: MultiwayConfig, "ia3": IA3Config}[kind](**options)
    base = build_on_meta(build_config(SHAPES[size])).requires_grad_(False)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        trainable, whole = get_peft_model(base, config).get_nb_trainable_parameters()
    assert whole == SHAPES[size].parameters + trainable, "the base has its true size"
    return int(trainable)


if __name__ == "__main__":
    main()

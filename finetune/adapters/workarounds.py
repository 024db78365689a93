"""What PEFT and bitsandbytes do otherwise than training here needs, set right from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def drop_stale_hooks(model: Any) -> None:
    """Take off what PEFT hangs on checkpointed layers for an activated LoRA, after a pass that did not go back.

    PEFT 0.21 takes it off on the way back alone, which neither an evaluation has nor a layer of the frozen tower, and
    refuses the next pass where it finds it.
    """
    for module in model.modules():
        handles = getattr(module, "_peft_gradient_checkpointing_forward_hooks", None)
        while handles:
            handles.pop().remove()


def keep_gradients_exact(model: Any) -> None:
    """Keep 4-bit layers on a CPU from repacking themselves at the first evaluation.

    bitsandbytes' packed form has no gradient of its own: training on behind an evaluation gave gradients that were
    up to half too small, without a word.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def uncast(model: Any) -> Iterator[None]:
    """Keep LoRA and its mixtures from copying what goes into them to float32, for use under autocast alone.

    Autocast would turn every copy back to what it was: the same bits, for less time and memory. DoRA computes with the
    dtype of its input and keeps its copies.
    """
    from peft.tuners.lora import LoraLayer

    from model.adapters.moe_lora.layer import MoeLoraLayer

    layers = [
        module
        for module in model.modules()
        if isinstance(module, MoeLoraLayer)
        or (isinstance(module, LoraLayer) and not any(getattr(module, "use_dora", {}).values()))
    ]
    for layer in layers:
        layer.cast_input_dtype_enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.cast_input_dtype_enabled = True

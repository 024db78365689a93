"""What PEFT and bitsandbytes do otherwise than training here needs, set right from outside.

Each says where the library's own code is. `tests/finetune/adapters/test_workarounds.py` shows each fault without its
workaround, so a test fails there once the library has mended it and the workaround can go.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def drop_stale_hooks(model: Any) -> None:
    """Remove the hooks that PEFT leaves on checkpointed layers for an activated LoRA after a pass without a backward.

    PEFT removes them in a backward hook alone. An evaluation has no backward pass, nor has a layer of the frozen tower,
    and the next pass is refused with "Multiple invocations of PEFT forward hooks before .backward()".

    Source: no report known; seen in peft 0.21.2 `tuners/lora/model.py::LoraModel._enable_peft_forward_hooks`. The hooks
    came with https://github.com/huggingface/peft/pull/2860.
    """
    for module in model.modules():
        handles = getattr(module, "_peft_gradient_checkpointing_forward_hooks", None)
        while handles:
            handles.pop().remove()


def keep_gradients_exact(model: Any) -> None:
    """Keep 4-bit layers on a CPU from repacking themselves at the first evaluation.

    On processors with AVX512-BF16 bitsandbytes packs the weights for inference and never unpacks them for a training
    that goes on: the gradients after an evaluation were up to half too small, or missing, without an error.

    Source: no report of this known; seen in bitsandbytes 0.50.2 `nn/modules.py::Linear4bit.forward`. Another fault of
    the same packing: https://github.com/bitsandbytes-foundation/bitsandbytes/issues/2078.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


@contextmanager
def uncast(model: Any) -> Iterator[None]:
    """Keep LoRA and its mixtures from copying what goes into them to float32, for use under autocast alone.

    Autocast would turn every copy back to what it was: the same bits, for less time and memory. DoRA computes with the
    dtype of its input and keeps its copies, so PEFT's own `helpers.py::disable_input_dtype_casting`, which takes all
    layers, does not serve.

    Source: no report known; seen in peft 0.21.2 `tuners/tuners_utils.py::BaseTunerLayer._cast_input_dtype`.
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

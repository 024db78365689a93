"""Loads weights, processor, quantisation and adapter into one `Loaded`, or says in one sentence why it cannot be.

Downloads nothing and generates nothing. Everything that can be found wrong before the weights are read is.
"""

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.safe_text import first_sentence
from model.checkpoint import Checkpoint, ModelCorrupt, ModelIncomplete, ModelUnsupported, read_checkpoint
from model.errors import ModelError
from model.hub import TINY, find_local
from model.settings import ModelSettings

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3VLProcessor

    from model.qwen3_vl.loading.weights import Progress


logger = logging.getLogger(__name__)

NF4_BELOW_BYTES = 12 * 2**30  # of free CUDA memory, under which `auto` quantises what does not fit

ALWAYS = "default"
"""PEFT's name of the adapter for all nodes."""


class LibraryBroken(ModelError):
    """transformers cannot be imported as installed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"transformers' Qwen3-VL cannot be imported ({reason}); a torchvision made for another torch does this: "
            "run `pip uninstall torchvision`, it is not needed."
        )


class AdaptersExclude(ModelError):
    """An adapter for all nodes, and adapters for single ones."""

    def __init__(self) -> None:
        super().__init__(
            "The settings adapter and node_adapters exclude each other: what nodes share is read by the base model; "
            "leave out one of them."
        )


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to answer."""

    model: Any
    """`Qwen3VLForConditionalGeneration`, its mixture of experts, or a `PeftModel` around one; without gradients."""
    processor: "Qwen3VLProcessor"
    name: str
    """As the settings name it."""
    adapter: str | None
    """Folder of the adapter that it uses."""
    quantization: Literal["none", "nf4", "int8"]
    device: "torch.device"
    dtype: "torch.dtype"
    """Of what is not quantised."""
    node_adapters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Activated adapters that a call may name, each with the tokens that invoke it."""
    family: Hashable = None
    """Which adapter it is by its weights: keys and values of another one are of no use to it."""
    mixes_tokens: bool = False
    """Whether the adapter needs more of earlier tokens than their keys and values."""
    sight: Hashable = None
    """The family, if the adapter works in the vision tower; else pictures look the same with it and without."""
    own_base: bool = True
    """Whether the base model is itself where the adapter is switched off."""
    spread: str = ""
    """How much lies where, if parts are brought to the device for each use."""
    invocation: tuple[int, ...] = ()
    """Tokens from which the adapter works, where it is an activated one."""

    @property
    def invocations(self) -> Mapping[str, tuple[int, ...]]:
        """Every activated adapter, that of all calls under `ALWAYS`."""
        return {ALWAYS: self.invocation} if self.invocation else self.node_adapters


def base_model(model: Any) -> Any:
    """Return the model under its adapter, itself where it has none."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def load(settings: ModelSettings, progress: "Progress | None" = None, *, dtype: "torch.dtype | None" = None) -> Loaded:
    """Load what the settings name; blocks for as long as it takes.

    The dtype is float32 for the bundled checkpoint, which is too small to gain from less; else bfloat16 on CUDA
    (float16 on cards without it) and CPU, float16 on MPS. `dtype` overrides it.

    Raises:
        ModelNotFound, ModelIncomplete, ModelCorrupt, ModelUnsupported: The folder.
        AdapterError: The adapter.
        NotEnoughMemory, PlacementRefused, AttentionUnavailable, MissingExtra, QuantizationUnavailable, LibraryBroken:
            The machine.
    """
    report = progress or (lambda phase, share: None)
    report("reading", 0.0)
    folder = find_local(settings.model)
    fix = _fix(settings.model, folder)
    checkpoint = read_checkpoint(folder, fix=fix)
    processor = _load_processor(checkpoint, fix)
    if settings.adapter is not None:
        from model.adapters.attach import read_adapter

        # a broken one is refused before minutes of loading its base
        adapter_config, _ = read_adapter(settings.adapter.expanduser())
        if settings.node_adapters:
            raise AdaptersExclude

    import torch

    from model.device import available_bytes, choose_dtype, computes, find_device
    from model.qwen3_vl.loading.weight_form import Form
    from model.qwen3_vl.loading.weights import read_weights
    from model.qwen3_vl.placement import WORKING_SPACE, NotEnoughMemory, choose_attention, place, where_it_lies

    device = find_device()
    dtype = dtype or choose_dtype(device, tiny=settings.model == TINY)
    if not computes(device, dtype):
        logger.warning(
            "this processor does not compute in bfloat16 and answers slowly; take the engine OpenVINO, which "
            "`lorgnette model convert` prepares, or --quantization int8"
        )
    available = available_bytes(device)
    quantization = choose_quantization(settings, checkpoint, dtype, device, available)
    needed = int(checkpoint.bytes_needed(dtype.itemsize, quantization) * WORKING_SPACE)
    shortage = NotEnoughMemory(settings.model, needed, available, str(device), quantized=quantization != "none")
    placement = place(settings, checkpoint, dtype, device, available, quantization)
    attention = choose_attention(settings, device, dtype)
    report("reading", 1.0)
    adapter_traits: dict[str, Any] = {}
    try:
        model = read_weights(
            checkpoint, fix=fix, form=Form(dtype, device, quantization, attention, placement),
            keep_bytes=int(settings.converted_gib * 2**30), report=report,
        )  # fmt: skip
        spread = where_it_lies(model)
        if settings.adapter is not None:
            from model.adapters.attach import attach_adapter
            from model.adapters.traits import traits

            report("adapter", 0.0)
            model = attach_adapter(model, settings.adapter.expanduser())
            adapter_traits = traits(adapter_config, settings.adapter.expanduser(), model)
            report("adapter", 1.0)
        node_adapters: dict[str, tuple[int, ...]] = {}
        if settings.node_adapters:
            from model.adapters.node_adapters import attach_node_adapters

            folders = [(node, folder.expanduser()) for node, folder in settings.node_adapters]
            model, node_adapters = attach_node_adapters(model, folders)
    except torch.OutOfMemoryError as error:
        raise shortage from error
    model.requires_grad_(False)
    report("ready", 1.0)
    adapter = None if settings.adapter is None else str(settings.adapter)
    return Loaded(
        model.eval(), processor, settings.model, adapter, quantization, device, dtype, node_adapters,
        spread=spread, **adapter_traits,
    )  # fmt: skip


def _fix(model: str, folder: Path) -> str:
    """Return what mends a broken folder, by where it came from."""
    if model == TINY:
        return "install lorgnette again"
    return "copy it again" if folder == Path(model).expanduser() else f"run: lorgnette model pull {model}"


def _load_processor(checkpoint: Checkpoint, fix: str) -> "Qwen3VLProcessor":
    from model.qwen3_vl.loading import lean_import

    try:
        lean_import.import_qwen3_vl()
        from model.qwen3_vl.processor import load_processor
    except (ImportError, RuntimeError) as error:
        root: BaseException = error
        while root.__cause__ is not None:  # transformers wraps the cause in "Could not import module"
            root = root.__cause__
        raise LibraryBroken(first_sentence(root)) from error
    try:
        processor = load_processor(checkpoint.folder)
    except Exception as error:  # the tokenizers library raises bare Exception for a broken tokenizer.json
        reason = f"has a configuration, tokenizer or processor that cannot be read ({first_sentence(error)})"
        raise ModelCorrupt(checkpoint.folder, reason, fix) from error
    if processor.chat_template is None:
        raise ModelIncomplete(checkpoint.folder, "has no chat template", fix)
    _try_template(processor, checkpoint, fix)
    return processor


def _try_template(processor: "Qwen3VLProcessor", checkpoint: Checkpoint, fix: str) -> None:
    """Refuse a template that would fail at the first question, or that would leave the picture out."""
    from jinja2 import TemplateError

    content = [{"type": "image"}, {"type": "text", "text": "?"}]
    try:
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    except (TemplateError, ValueError, TypeError, LookupError) as error:
        reason = f"has a chat template that cannot be used ({first_sentence(error)})"
        raise ModelCorrupt(checkpoint.folder, reason, fix) from error
    if processor.image_token not in prompt:
        raise ModelCorrupt(checkpoint.folder, "has a chat template that leaves pictures out", fix)


def choose_quantization(
    settings: ModelSettings, checkpoint: Checkpoint, dtype: "torch.dtype", device: "torch.device", available: int
) -> Literal["none", "nf4", "int8"]:
    """Return the form of the weights; `auto` is nf4 on a small CUDA card that the model would not fit, else none.

    Raises:
        ModelUnsupported: The weights are quantised on disk already.
    """
    if checkpoint.stored_form is not None:
        if settings.quantization in ("nf4", "int8"):
            reason = f"has {checkpoint.stored_form} weights, which are not quantised once more"
            raise ModelUnsupported(checkpoint.folder, reason, "leave the quantization out")
        return "none"
    if settings.quantization != "auto":
        return settings.quantization
    tight = device.type == "cuda" and available < NF4_BELOW_BYTES and settings.model != TINY
    from model.qwen3_vl.placement import WORKING_SPACE

    too_large = checkpoint.bytes_needed(dtype.itemsize) * WORKING_SPACE > available
    return "nf4" if tight and too_large else "none"

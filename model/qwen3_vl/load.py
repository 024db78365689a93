"""Loads weights, processor, quantisation and adapter into one `Loaded`, or says in one sentence why it cannot be.

Downloads nothing and generates nothing. Everything that can be found wrong before the weights are read is.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.safe_text import first_sentence
from model.checkpoint import Checkpoint, ModelCorrupt, ModelIncomplete, ModelUnsupported, read_checkpoint
from model.errors import ModelError
from model.hub import TINY, MissingExtra, find_local
from model.settings import ModelSettings

if TYPE_CHECKING:
    import torch
    from transformers import Qwen3VLProcessor

    from model.qwen3_vl.placement import Placement

Progress = Callable[[str, float], None]
"""Called with a phase ("reading", "weights", "adapter", "ready") and its share from 0 to 1."""

NF4_BELOW_BYTES = 12 * 2**30  # of free CUDA memory, under which `auto` quantises what does not fit
# Quantising the vision tower loses more than it saves. The full dotted name: a bare "visual" matches nothing.
NOT_QUANTIZED = ["lm_head", "model.visual"]

ALWAYS = "default"
"""PEFT's name of the adapter for all nodes."""

_LOADING = threading.Lock()  # transformers' progress hook and verbosity are global: one load at a time


class LibraryBroken(ModelError):
    """transformers cannot be imported as installed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"transformers' Qwen3-VL cannot be imported ({reason}); a torchvision made for another torch does this: "
            "run `pip uninstall torchvision`, it is not needed."
        )


class QuantizationUnavailable(ModelError):
    """bitsandbytes, as installed, has nothing for the device."""

    def __init__(self, device: str, reason: str) -> None:
        self.device, self.reason = device, reason
        super().__init__(
            f"bitsandbytes cannot quantise on {device} ({reason}); install a version that was made for it, or leave "
            "the quantization out."
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


def load(settings: ModelSettings, progress: Progress | None = None, *, dtype: "torch.dtype | None" = None) -> Loaded:
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

    from model.device import available_bytes, choose_dtype, find_device
    from model.qwen3_vl.placement import WORKING_SPACE, NotEnoughMemory, choose_attention, place, where_it_lies

    device = find_device()
    dtype = dtype or choose_dtype(device, tiny=settings.model == TINY)
    available = available_bytes(device)
    quantization = choose_quantization(settings, checkpoint, dtype, device, available)
    needed = int(checkpoint.bytes_needed(dtype.itemsize, quantization) * WORKING_SPACE)
    shortage = NotEnoughMemory(settings.model, needed, available, str(device), quantized=quantization != "none")
    placement = place(settings, checkpoint, dtype, device, available, quantization)
    attention = choose_attention(settings, device, dtype)
    report("reading", 1.0)
    adapter_traits: dict[str, Any] = {}
    try:
        model = _load_weights(checkpoint, fix, dtype, device, quantization, placement, attention, report)
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
    try:
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


def _quantization_config(quantization: str, dtype: "torch.dtype", device: "torch.device") -> Any:
    from model.adapters import quiet_bitsandbytes

    quiet_bitsandbytes()  # before the import; int8 would also warn of its cast at every layer of every token
    try:
        import bitsandbytes
    except ImportError as error:
        raise MissingExtra("bitsandbytes", "quantization") from error
    if device.type not in bitsandbytes.supported_torch_devices:
        raise QuantizationUnavailable(str(device), f"version {bitsandbytes.__version__} does not know it")
    if device.type == "cuda" and not bitsandbytes.cextension.lib.compiled_with_cuda:
        raise QuantizationUnavailable(str(device), f"version {bitsandbytes.__version__} found no library for its CUDA")
    from transformers import BitsAndBytesConfig

    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=NOT_QUANTIZED)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=NOT_QUANTIZED,
    )


def _read_out(checkpoint: Checkpoint) -> Any:
    """Let transformers turn FP8 into the dtype on every device: its FP8 kernels come from the hub, at first use."""
    from transformers import FineGrainedFP8Config

    return FineGrainedFP8Config(**{**checkpoint.config["quantization_config"], "dequantize": True})


def _load_weights(
    checkpoint: Checkpoint,
    fix: str,
    dtype: "torch.dtype",
    device: "torch.device",
    quantization: str,
    placement: "Placement",
    attention: str,
    report: Progress,
) -> Any:
    options = dict(placement.options)
    is_fp8 = checkpoint.stored_form == "fp8"
    if quantization != "none" or is_fp8:
        options["quantization_config"] = (
            _read_out(checkpoint) if is_fp8 else _quantization_config(quantization, dtype, device)
        )
    from model.qwen3_vl.cpu_linear import multiply_on_cpu

    report("weights", 0.0)
    try:
        with _quiet(lambda share: report("weights", share)):
            model, info = _class_of(checkpoint).from_pretrained(
                checkpoint.folder,
                dtype=dtype,
                fusion_config={"patch_embeddings": True},  # a matrix instead of Conv3d: the same bits, faster
                attn_implementation=attention,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
    except ImportError:
        raise  # the installation is to blame, not the folder
    except Exception as error:  # a configuration can be wrong in every way, and safetensors' own is an Exception
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch and mmap say it as bare errors
            raise torch.OutOfMemoryError(str(error)) from error
        if placement.is_spread and isinstance(error, ValueError):
            from model.qwen3_vl.placement import PlacementRefused

            raise PlacementRefused("device_map", first_sentence(error)) from error
        reason = f"has a configuration and weights that do not fit together ({first_sentence(error)})"
        raise ModelCorrupt(checkpoint.folder, reason, fix) from error
    _check_keys(info, checkpoint, fix)
    if device.type == "cpu":
        multiply_on_cpu(model)
    if quantization == "int8" and device.type == "cpu":
        _keep_scales(model)
    if is_fp8:
        _cast(model, dtype)
    return model


def _check_keys(info: Mapping[str, Any], checkpoint: Checkpoint, fix: str) -> None:
    # transformers makes up what it does not find and drops what it does not know, both in silence.
    if missing := sorted(info["missing_keys"]):
        reason = f"has no weights for {missing[0]!r}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        raise ModelIncomplete(checkpoint.folder, reason, fix)
    # Only layers: other tools leave extra heads beside them, which do no harm.
    if surplus := sorted(key for key in info["unexpected_keys"] if key.startswith("model.")):
        reason = f"has weights that its config.json does not describe ({surplus[0]!r}, {len(surplus)} in all)"
        raise ModelCorrupt(checkpoint.folder, reason, fix)


def _cast(model: Any, dtype: "torch.dtype") -> None:
    """Bring to the dtype what transformers leaves as it was stored in a checkpoint of FP8: all that is no FP8."""
    for parameter in model.parameters():
        if parameter.device.type != "meta" and parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)


def _class_of(checkpoint: Checkpoint) -> Any:
    """Return the class of transformers that the configuration names."""
    import transformers

    mixture = checkpoint.config["model_type"] == "qwen3_vl_moe"
    return transformers.Qwen3VLMoeForConditionalGeneration if mixture else transformers.Qwen3VLForConditionalGeneration


def _keep_scales(model: Any) -> None:
    """Keep int8 layers on a CPU from losing the scales of their rows under DoRA.

    PEFT 0.21 (`dequantize_module_weight`) puts new weights into a layer whenever it reads them, and bitsandbytes takes
    their scales for its own, which are none.
    """

    def keep(layer: Any, _: Any) -> None:
        if layer.weight.SCB is None:
            layer.weight.CB = None  # the sign to take them

    for layer in model.modules():
        if hasattr(layer, "init_8bit_state"):
            layer.register_forward_pre_hook(keep)


@contextmanager
def _quiet(weights: Callable[[float], None]) -> Iterator[None]:
    """Silence transformers' bars and reports, and turn its bar over the weights into calls with their share."""
    from transformers.utils import logging as transformers_logging

    def bar(factory: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and kwargs.get("desc") == "Loading weights":
            return _counted(list(args[0]), weights)
        # any other bar: transformers' own empty one
        return transformers_logging.EmptyTqdm(*args, **kwargs)

    with _LOADING:
        verbosity = transformers_logging.get_verbosity()
        hook = transformers_logging.set_tqdm_hook(bar)
        transformers_logging.set_verbosity_error()
        spreading = logging.getLogger("accelerate.big_modeling")  # says to stderr that parts lie on a disk, as wished
        level = spreading.level
        spreading.setLevel(logging.ERROR)
        try:
            yield
        finally:
            spreading.setLevel(level)
            transformers_logging.set_verbosity(verbosity)
            transformers_logging.set_tqdm_hook(hook)


def _counted(items: list[Any], report: Callable[[float], None]) -> Iterable[Any]:
    for number, item in enumerate(items, start=1):
        yield item
        report(number / len(items))

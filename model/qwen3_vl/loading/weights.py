"""Reads a checkpoint's weights into transformers' model, in the form that is wanted. It knows no settings.

Converted weights are kept by `converted_weights.py`, where that saves the user half a minute.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.home import data_home
from common.safe_text import first_sentence
from model.checkpoint import Checkpoint, ModelCorrupt, ModelIncomplete
from model.errors import ModelError
from model.hub import MissingExtra

if TYPE_CHECKING:
    import torch

    from model.qwen3_vl.loading.converted_weights import ConvertedWeights
    from model.qwen3_vl.loading.weight_form import Form

logger = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
"""Called with a phase ("reading", "weights", "adapter", "ready") and its share from 0 to 1."""

# Quantising the vision tower loses more than it saves. The full dotted name: a bare "visual" matches nothing.
NOT_QUANTIZED = ["lm_head", "model.visual"]

_LOADING = threading.Lock()  # transformers' progress hook and verbosity are global: one load at a time


class QuantizationUnavailable(ModelError):
    """bitsandbytes, as installed, has nothing for the device."""

    def __init__(self, device: str, reason: str) -> None:
        self.device, self.reason = device, reason
        super().__init__(
            f"bitsandbytes cannot quantise on {device} ({reason}); install a version that was made for it, or leave "
            "the quantization out."
        )


def _read_out(checkpoint: Checkpoint) -> Any:
    """Let transformers turn FP8 into the dtype on every device: its FP8 kernels come from the hub, at first use."""
    from transformers import FineGrainedFP8Config

    return FineGrainedFP8Config(**{**checkpoint.config["quantization_config"], "dequantize": True})


def read_weights(checkpoint: Checkpoint, *, fix: str, form: "Form", keep_bytes: int, report: Progress) -> Any:
    """Return transformers' model with its weights in this form.

    Args:
        checkpoint: Whose weights.
        fix: What mends a broken folder.
        form: How they are wanted.
        keep_bytes: Room for converted weights on the disk, all models together; 0 keeps none.
        report: Told of the phases "weights" and, where converted weights are written to the disk, "keeping".

    Raises:
        ModelIncomplete, ModelCorrupt, QuantizationUnavailable, MissingExtra, PlacementRefused: It cannot be.
        torch.OutOfMemoryError: On any device.
    """
    from model.qwen3_vl.loading.converted_weights import ConvertedWeights, worth_keeping

    report("weights", 0.0)
    kept = None
    if worth_keeping(checkpoint, form):
        kept = ConvertedWeights(data_home() / "converted", keep_bytes)
    model = None if kept is None else _read_kept(kept, checkpoint, form, report)
    if model is None:
        model = _read(checkpoint, fix, form, report)
        if kept is not None:
            report("keeping", 0.0)
            kept.keep(model, checkpoint, form)
    return _made_ready(model, form, is_fp8=checkpoint.stored_form == "fp8")


def _read_kept(kept: "ConvertedWeights", checkpoint: Checkpoint, form: "Form", report: Progress) -> Any:
    """Return the model from weights that were converted before; None where there are none that can be used."""
    folder = kept.find(checkpoint, form)
    if folder is None:
        return None
    try:
        with _quiet(lambda share: report("weights", share)):
            model, info = _from_pretrained(checkpoint, folder, form, {})
    except Exception as error:  # what is kept only saves time: whatever is wrong with it, it is made again
        logger.warning("converted weights in %s cannot be used and are made again: %s", folder, first_sentence(error))
    else:
        if not info["missing_keys"] and not info["unexpected_keys"]:
            model.config.name_or_path = model.name_or_path = str(checkpoint.folder)
            return model
        logger.warning("converted weights in %s are of something else and are made again", folder)
    kept.forget(folder)
    return None


def _read(checkpoint: Checkpoint, fix: str, form: "Form", report: Progress) -> Any:
    from model.qwen3_vl.loading import lean_import

    options = dict(form.placement.options)
    if checkpoint.stored_form == "fp8":
        options["quantization_config"] = _read_out(checkpoint)
    elif form.quantization != "none":
        options["quantization_config"] = _quantization_config(form.quantization, form.dtype, form.device)
    lean = lean_import.without_the_compiler() if form.quantization == "none" else nullcontext()
    try:
        with _quiet(lambda share: report("weights", share)), lean:
            model, info = _from_pretrained(checkpoint, checkpoint.folder, form, options)
    except ImportError:
        raise  # the installation is to blame, not the folder
    except Exception as error:  # a configuration can be wrong in every way, and safetensors' own is an Exception
        raise _explained(error, checkpoint, fix, form) from error
    _check_keys(info, checkpoint, fix)
    return model


def _from_pretrained(checkpoint: Checkpoint, folder: Path, form: "Form", options: dict[str, Any]) -> Any:
    if "fusion_config" in checkpoint.config:  # of one that was saved with it; `embed_by_matrix` does the same
        options = {**options, "fusion_config": {}}
    return _class_of(checkpoint).from_pretrained(
        folder, dtype=form.dtype, attn_implementation=form.attention, local_files_only=True, output_loading_info=True,
        **options,
    )  # fmt: skip


def _explained(error: Exception, checkpoint: Checkpoint, fix: str, form: "Form") -> Exception:
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return error
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch and mmap say it as bare errors
        return torch.OutOfMemoryError(str(error))
    if form.placement.is_spread and isinstance(error, ValueError):
        from model.qwen3_vl.placement import PlacementRefused

        return PlacementRefused("device_map", first_sentence(error))
    reason = f"has a configuration and weights that do not fit together ({first_sentence(error)})"
    return ModelCorrupt(checkpoint.folder, reason, fix)


def _made_ready(model: Any, form: "Form", *, is_fp8: bool) -> Any:
    from model.qwen3_vl.loading.cpu_linear import multiply_on_cpu
    from model.qwen3_vl.loading.patch_embedding import embed_by_matrix

    embed_by_matrix(model)
    if form.device.type == "cpu":
        multiply_on_cpu(model)
    if form.quantization == "int8" and form.device.type == "cpu":
        _keep_scales(model)
    if is_fp8:
        _cast(model, form.dtype)
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

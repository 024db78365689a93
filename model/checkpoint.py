"""Reads what a checkpoint folder promises, its configuration and the headers of its weights, and refuses broken ones.

Loads no weights and needs neither torch nor transformers: it costs milliseconds also for large models.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from model.errors import ModelError

MODEL_TYPES = ("qwen3_vl", "qwen3_vl_moe")
"""Qwen3-VL, and its mixture of experts (30B-A3B, 235B-A22B), as `config.json` names them."""
# Bytes a value of a quantised matrix takes: the codes, and the scale of each block or row.
QUANTIZED_BYTES = {"nf4": 0.5 + 1 / 64 + 4 / (64 * 256), "int8": 1.0}
STORED_FORMS: dict[str, tuple[str, ...]] = {
    "fp8": (),
    "awq": ("gptqmodel",),
    "gptq": ("gptqmodel", "optimum"),
    "compressed-tensors": ("compressed_tensors",),
    "bitsandbytes": ("bitsandbytes",),
}
"""How a checkpoint may be quantised on disk, and the packages that transformers reads it with beside itself."""
UNQUANTIZED = "choose the unquantised model, with --quantization nf4 or int8"
SCALE = "_scale_inv"
"""What the name of an FP8 tensor's scales ends with, behind the tensor's own."""
INTEGER_BYTES = {"U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8}
"""By dtype as safetensors writes it."""
INDEX = "model.safetensors.index.json"
MOST_HEADER_BYTES = 100_000_000  # safetensors' own limit


class ModelFolderError(ModelError):
    """A folder that cannot be loaded as it is; `folder`, `reason` and `fix` say why and what mends it."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The model folder {str(folder)!r} {reason}; {fix}.")


class ModelIncomplete(ModelFolderError):
    """A file or a part of the weights is missing."""


class ModelCorrupt(ModelFolderError):
    """A file is there and cannot be read."""


class ModelUnsupported(ModelFolderError):
    """The folder holds something else than a Qwen3-VL."""


@dataclass(frozen=True)
class Tensor:
    """One tensor as the header of its file declares it."""

    dtype: str
    """As safetensors writes it, "BF16"."""
    shape: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many numbers the tensor has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose files are all there and whole."""

    folder: Path
    config: dict[str, Any]
    """`config.json`."""
    tensors: dict[str, Tensor]
    """Every tensor of every shard, by name."""

    @property
    def parameters(self) -> int:
        """How many numbers the weights have; a tied head counts once."""
        return sum(tensor.values for tensor in self.tensors.values())

    @property
    def stored_form(self) -> str | None:
        """How the weights are quantised on disk, a key of `STORED_FORMS`; None if they are not."""
        stored = self.config.get("quantization_config")
        return str(stored["quant_method"]) if isinstance(stored, Mapping) else None

    def bytes_needed(self, bytes_per_value: int, quantization: str = "none") -> int:
        """Estimate the memory of the loaded weights.

        Matrices of the language layers count as quantised, all else as it is. FP8 is read into `bytes_per_value` and
        its scales are gone then; what is packed into integers stays so.
        """
        small = QUANTIZED_BYTES.get(quantization, bytes_per_value)
        total = 0.0
        for name, tensor in self.tensors.items():
            if self.stored_form == "fp8" and name.endswith(SCALE):
                continue
            quantized = ".language_model.layers." in f".{name}" and len(tensor.shape) == 2
            packed = INTEGER_BYTES.get(tensor.dtype) if self.stored_form not in (None, "fp8") else None
            total += tensor.values * (packed or (small if quantized else bytes_per_value))
        return math.ceil(total)


def read_checkpoint(folder: Path, *, fix: str = "copy or download the folder again") -> Checkpoint:
    """Return what the folder holds, after checking that it is a whole Qwen3-VL.

    Args:
        folder: As the hub has it or as `save_pretrained` writes it.
        fix: What the user can do about a broken folder; the last clause of the error.

    Raises:
        ModelIncomplete, ModelCorrupt, ModelUnsupported: With the file that is to blame.
    """
    _check_kind(folder, fix)
    config = read_json(folder, "config.json", fix)
    if refusal := why_unsupported(config):
        raise ModelUnsupported(folder, *refusal)
    for part in ("text_config", "vision_config"):
        # transformers would put its own default in the place: billions of random weights
        if not isinstance(config.get(part), dict):
            raise ModelCorrupt(folder, f"has a config.json without a {part}", fix)
    if not (_has(folder, "tokenizer.json") or (_has(folder, "vocab.json") and _has(folder, "merges.txt"))):
        raise ModelIncomplete(folder, "has no tokenizer (tokenizer.json, or vocab.json with merges.txt)", fix)
    if not (_has(folder, "processor_config.json") or _has(folder, "preprocessor_config.json")):
        raise ModelIncomplete(folder, "has no processor_config.json or preprocessor_config.json", fix)
    tensors: dict[str, Tensor] = {}
    for shard in _shards(folder, fix):
        tensors |= read_tensors(folder, shard, fix)
    checkpoint = Checkpoint(folder, config, tensors)
    if checkpoint.stored_form == "fp8":
        _check_scales(checkpoint, fix)
    return checkpoint


def _check_kind(folder: Path, fix: str) -> None:
    """Refuse a folder that is something else than a checkpoint by the names of its files."""
    if any(folder.glob("openvino_*")) and not any(folder.glob("*.safetensors")):
        raise ModelUnsupported(
            folder, "holds a model that was converted for OpenVINO", "write openvino: before its name"
        )
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise ModelUnsupported(
                folder, "holds an adapter, not a model", "give it as the adapter, and its base as the model"
            )
        raise ModelIncomplete(folder, "has no config.json", fix)


def _check_scales(checkpoint: Checkpoint, fix: str) -> None:
    """Refuse FP8 matrices that transformers would read wrongly without a word.

    Without its scales a matrix is taken as it is; and where blocks do not divide it, transformers 5.23
    (`Fp8Dequantize._dequantize_one`) puts blocks of another size in their place.
    """
    block = checkpoint.config["quantization_config"].get("weight_block_size") or (1, 1)
    for name, tensor in checkpoint.tensors.items():
        if not tensor.dtype.startswith("F8_E4M3"):
            continue
        scale = checkpoint.tensors.get(name + SCALE)
        if scale is None:
            raise ModelIncomplete(checkpoint.folder, f"has no scales for {name!r}", fix)
        if block != (1, 1) and any(side % size for side, size in zip(tensor.shape[-2:], block, strict=False)):
            reason = f"has fp8 blocks of {block[0]} x {block[1]} that do not divide {name!r}"
            raise ModelUnsupported(checkpoint.folder, reason, UNQUANTIZED)


def why_unsupported(config: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why a configuration cannot be loaded and what to do instead; None if it can.

    It is asked before gigabytes are downloaded, and again before they are read.
    """
    found = config.get("model_type")
    if found not in MODEL_TYPES:
        wanted = " or ".join(map(repr, MODEL_TYPES))
        return f"holds a model of type {found!r}, not {wanted}", "choose a Qwen3-VL such as 'Qwen/Qwen3-VL-2B-Instruct'"
    stored = config.get("quantization_config")
    if stored is None:
        return None
    method = stored.get("quant_method") if isinstance(stored, Mapping) else None
    if method not in STORED_FORMS:
        return (
            f"has weights in a form that is not known here ({method!r})",
            UNQUANTIZED,
        )
    missing = [package for package in STORED_FORMS[method] if find_spec(package) is None]
    if missing:
        named = " and ".join(map(repr, missing))
        packages = "packages" if len(missing) > 1 else "package"
        return f"has {method} weights, which need the {packages} {named}", f"run: pip install {' '.join(missing)}"
    return None


def read_json(folder: Path, name: str, fix: str) -> dict[str, Any]:
    """Return a JSON object of the folder; ModelCorrupt when it is none."""
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelCorrupt(folder, f"has {_a(name)} that cannot be read ({error})", fix) from error
    if not isinstance(content, dict):
        raise ModelCorrupt(folder, f"has {_a(name)} that is no JSON object", fix)
    return content


def read_tensors(folder: Path, name: str, fix: str) -> dict[str, Tensor]:
    """Return the tensors that the header of one safetensors file declares, after checking the file's length.

    Format: eight bytes of length (little endian), a JSON header, the data
    (https://github.com/huggingface/safetensors#format).
    """
    path = folder / name
    if not path.is_file():
        raise ModelIncomplete(folder, f"lacks {name}", fix)
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length)) if length <= min(size, MOST_HEADER_BYTES) else None
        if header is None:
            raise ValueError("the header is longer than the file")
        if not isinstance(header, dict):
            raise ValueError("the header is no JSON object")
        entries = {key: value for key, value in header.items() if key != "__metadata__"}
        tensors = {key: Tensor(entry["dtype"], tuple(entry["shape"])) for key, entry in entries.items()}
        if not all(isinstance(side, int) and side >= 0 for tensor in tensors.values() for side in tensor.shape):
            raise ValueError("a shape that is none")
        end = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise ModelCorrupt(folder, f"has {_a(name)} that is no safetensors file ({error})", fix) from error
    if end != size:
        how = "it is cut off" if size < end else "there is more than its header tells"
        raise ModelCorrupt(folder, f"has {_a(name)} of {size:,} bytes that should have {end:,}: {how}", fix)
    return tensors


def _shards(folder: Path, fix: str) -> list[str]:
    if _has(folder, INDEX):
        weight_map = read_json(folder, INDEX, fix).get("weight_map")
        if not (isinstance(weight_map, dict) and weight_map and all(isinstance(n, str) for n in weight_map.values())):
            raise ModelCorrupt(folder, f"has a {INDEX} without a weight_map of file names", fix)
        return sorted(set(weight_map.values()))
    if not _has(folder, "model.safetensors") and next(folder.glob("*.bin"), None) is not None:
        raise ModelUnsupported(
            folder, "has pickled weights (.bin), which can run code when loaded", "save it as safetensors"
        )
    return ["model.safetensors"]


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _a(name: str) -> str:
    return f"an {name}" if name.startswith("a") else f"a {name}"

"""Where the parts of a model lie: on one device, or spread over cards, memory and a disk; and how it attends.

It says so before the weights are read, or why it cannot be. transformers and accelerate do the spreading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch

from model.checkpoint import Checkpoint
from model.errors import ModelError
from model.settings import ModelSettings

WORKING_SPACE = 1.15  # times the weights: activations and cache of a question, and the largest tensor while converting
FLASH_CAPABILITY = (8, 0)  # of a CUDA card, from which FlashAttention 2 works
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


class NotEnoughMemory(ModelError):
    """The weights do not fit; `needed` and `available` in bytes, `device` where."""

    def __init__(self, model: str, needed: int, available: int, device: str, *, quantized: bool) -> None:
        self.model, self.needed, self.available, self.device = model, needed, available, device
        fix = (
            "choose a smaller model"
            if quantized
            else ("set quantization to nf4, name a folder on a disk as offload_folder (slow), choose a smaller model")
        )
        super().__init__(
            f"The model {model!r} needs about {needed / 2**30:,.1f} GiB on {device}, where {available / 2**30:,.1f} "
            f"GiB are free; {fix}, or close other programs."
        )


class PlacementRefused(ModelError):
    """The settings of where the weights lie cannot be followed."""

    def __init__(self, setting: str, reason: str) -> None:
        self.setting, self.reason = setting, reason
        super().__init__(f"The setting {setting} cannot be followed ({reason}); change it or leave it out.")


class AttentionUnavailable(ModelError):
    """The attention that the settings name is not to be had here."""

    def __init__(self, attention: str, reason: str) -> None:
        self.attention, self.reason = attention, reason
        super().__init__(
            f"The attention {attention!r} is not to be had ({reason}); set attn_implementation to auto, which takes "
            "what there is."
        )


@dataclass(frozen=True)
class Placement:
    """What was decided."""

    options: dict[str, Any] = field(default_factory=dict)
    """Of `from_pretrained`."""
    is_spread: bool = False
    """Whether the parts lie in several places."""


def place(
    settings: ModelSettings,
    checkpoint: Checkpoint,
    dtype: torch.dtype,
    device: torch.device,
    available: int,
    quantization: str,
) -> Placement:
    """Return where the weights go: on `device` if they fit, else wherever there is room.

    Args:
        settings: `device_map`, `max_memory` and `offload_folder` of them.
        checkpoint: What is to be loaded.
        dtype: Of what is not quantised.
        device: Where it is loaded if it fits.
        available: Bytes that are free there.
        quantization: Form of the weights; quantised ones stay on cards.

    Raises:
        NotEnoughMemory: There is no room, not even on the disk that the settings allow.
        PlacementRefused: The settings ask for something that is not here.
    """
    weights = checkpoint.bytes_needed(dtype.itemsize, quantization)
    needed, quantized, limits = int(weights * WORKING_SPACE), quantization != "none", dict(settings.max_memory)
    if settings.device_map == "one" or (settings.device_map == "auto" and not limits and needed <= available):
        if needed > available:
            raise NotEnoughMemory(settings.model, needed, available, str(device), quantized=quantized)
        return Placement({"device_map": {"": device}} if quantized or device.type != "cpu" else {})
    cards = [key for key in limits if isinstance(key, int) and key >= torch.cuda.device_count()]
    if cards:
        raise PlacementRefused("max_memory", f"there is no CUDA card {cards[0]}")
    room = limits or _room(device, available)
    usable = {key: size for key, size in room.items() if key != "cpu" or not quantized or device.type == "cpu"}
    if weights > sum(usable.values()) and (quantized or settings.offload_folder is None):
        where = " and ".join(map(_named, usable)) or str(device)
        raise NotEnoughMemory(settings.model, needed, sum(usable.values()), where, quantized=quantized)
    wanted = settings.device_map
    options: dict[str, Any] = {"device_map": wanted if isinstance(wanted, str) else dict(wanted), "max_memory": room}
    if settings.offload_folder is not None:
        options["offload_folder"] = str(_folder(settings.offload_folder))
    return Placement(options, is_spread=True)


def choose_attention(settings: ModelSettings, device: torch.device, dtype: torch.dtype) -> str:
    """Return how the model attends: FlashAttention 2 where package, card and dtype have it, else PyTorch's.

    Raises:
        AttentionUnavailable: The settings name it, and it is not to be had.
    """
    wanted = settings.attn_implementation
    if wanted not in ("auto", "flash_attention_2"):
        return wanted
    problem = _why_no_flash(device, dtype)
    if problem and wanted != "auto":
        raise AttentionUnavailable(wanted, problem)
    return "sdpa" if problem else "flash_attention_2"


def where_it_lies(model: Any) -> str:
    """Say in words how much lies where, if a part of it is brought to the device for each use; else nothing."""
    placed: Mapping[str, Any] = getattr(model, "hf_device_map", {})
    kinds = {str(place) for place in placed.values()}
    if "disk" not in kinds and not ("cpu" in kinds and len(kinds) > 1):
        return ""
    sizes: dict[str, int] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        part = max((part for part in placed if f"{name}.".startswith(f"{part}.") or not part), key=len, default=None)
        if part is not None:
            where = _named(placed[part])
            sizes[where] = sizes.get(where, 0) + tensor.nbytes
    return ", ".join(f"{_size(size)} {where}" for where, size in sizes.items())


def _room(device: torch.device, available: int) -> dict[int | str, int]:
    """Return how many bytes of weights each place takes, with space left to work in."""
    room: dict[int | str, int] = {"cpu": int(psutil.virtual_memory().available / WORKING_SPACE)}
    if device.type == "cuda":
        cards = {number: torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())}
        room = {**{number: int(free / WORKING_SPACE) for number, free in cards.items()}, **room}
    elif device.type != "cpu":
        room = {device.type: int(available / WORKING_SPACE)}  # its memory is the machine's own
    return room


def _folder(folder: Path) -> Path:
    folder = folder.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder {str(folder)!r} cannot be made, {error.strerror or type(error).__name__}"
        raise PlacementRefused("offload_folder", reason) from None
    return folder


def _why_no_flash(device: torch.device, dtype: torch.dtype) -> str:
    if device.type != "cuda":
        return f"it needs a CUDA card, and the model runs on {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"it knows no {str(dtype).removeprefix('torch.')}"
    if find_spec("flash_attn") is None:
        return "the package 'flash-attn' is not installed"
    capable = torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY
    return "" if capable else "the card is older than compute capability 8.0"


def _named(place: object) -> str:
    if place in ("cpu", "disk"):
        return "in memory" if place == "cpu" else "on disk"
    return f"on cuda:{place}" if isinstance(place, int) else f"on {place}"


def _size(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"

"""Whether models fit into the memory that is free here, by the rule of the loading itself. It loads no weights."""

from dataclasses import dataclass

from model.hub import OPENVINO, TINY, LocalModel
from model.settings import ModelSettings

MEASURED_GB = {"2B": 4.3, "4B": 8.9, "8B": 17.6}
"""Gigabytes of the weights of Qwen3-VL-...-Instruct as the hub has them, two bytes a parameter."""


@dataclass(frozen=True)
class Machine:
    """What there is to load a model into."""

    device: str
    """In words."""
    free: int
    """Bytes that weights may take."""


def machine() -> Machine:
    """Return this machine; imports torch."""
    from model.device import available_bytes, describe, find_device

    device = find_device()
    return Machine(describe(device), available_bytes(device))


def bytes_needed(found: LocalModel, settings: ModelSettings) -> int:
    """Return the memory that a model on this machine wants when it answers, in bytes; imports torch.

    Raises:
        ModelError: Its folder is not whole.
    """
    from model.checkpoint import read_checkpoint
    from model.device import available_bytes, choose_dtype, find_device
    from model.qwen3_vl.load import choose_quantization
    from model.qwen3_vl.placement import WORKING_SPACE

    if found.model.startswith(OPENVINO):
        return int(found.bytes * WORKING_SPACE)
    checkpoint, device = read_checkpoint(found.folder), find_device()
    dtype = choose_dtype(device, tiny=found.model == TINY)
    form = choose_quantization(
        settings.model_copy(update={"model": found.model}), checkpoint, dtype, device, available_bytes(device)
    )
    return int(checkpoint.bytes_needed(dtype.itemsize, form) * WORKING_SPACE)


def offered() -> dict[str, int]:
    """Return the hub ids that are worth a download, and the memory that each wants, about, in bytes."""
    from model.qwen3_vl.placement import WORKING_SPACE

    return {
        f"Qwen/Qwen3-VL-{size}-Instruct": int(gigabytes * 1e9 * WORKING_SPACE)
        for size, gigabytes in MEASURED_GB.items()
    }  # fmt: skip

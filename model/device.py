"""Where the model runs: CUDA, MPS or the CPU, in which dtype, with how much memory. It loads no weights."""

import psutil
import torch

GIB = 2**30


def find_device() -> torch.device:
    """Return the current CUDA device, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(device: torch.device, *, tiny: bool) -> torch.dtype:
    """Return the dtype of the weights there; the bundled checkpoint is small enough for float32."""
    if tiny:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if device.type == "mps" else torch.bfloat16


def computes(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the device computes in the dtype itself; a processor without bfloat16 works it out in float32."""
    if device.type != "cpu" or dtype != torch.bfloat16:
        return True
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def available_bytes(device: torch.device) -> int:
    """Return the free memory that weights may take on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def describe(device: torch.device) -> str:
    """Say in words which device this is."""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / GIB:.1f} of {whole / GIB:.1f} GiB free"
    return "Apple GPU (mps)" if device.type == "mps" else f"CPU, {torch.get_num_threads()} threads"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether torch, on whatever device, wanted memory that is not there."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)

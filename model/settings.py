"""The model's section of the settings: which weights, in which form, and how they generate."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "presence_penalty", "seed")
"""Settings, and options of a call, that choose among the likely tokens."""

Quantization = Literal["auto", "none", "nf4", "int8"]
NodeName = Literal["planner", "retriever", "responder", "reviewer"]


def _pairs(value: object) -> object:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[KMGT]i?B)", re.IGNORECASE)
_MAGNITUDES = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def _limits(value: object) -> object:
    """Return places and their bytes as pairs; an environment variable holds them as `cpu=30GiB,0=10GiB`."""
    if isinstance(value, str):
        parts = [re.split(r"\s*[=:]\s*", part.strip(), maxsplit=1) for part in value.split(",") if part.strip()]
        if any(len(part) != 2 for part in parts):
            raise ValueError("write it as cpu=30GiB,0=10GiB")
        value = dict(parts)
    if not isinstance(value, dict):
        return value
    return tuple((_place(place), _bytes(size)) for place, size in value.items())


def _place(place: object) -> object:
    if isinstance(place, int) or (isinstance(place, str) and place.isdecimal()):
        return int(place)
    if place not in ("cpu", "mps"):
        raise ValueError(f"{place!r} is no place; a card's number, cpu or mps is")
    return place


def _bytes(size: object) -> object:
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    found = _SIZE.fullmatch(str(size).strip())
    if found is None or not float(found[1]):
        raise ValueError(f"{size!r} is no size; write it as 10GiB or 800MiB")
    unit = found[2].lower()
    return int(float(found[1]) * (1024 if "i" in unit else 1000) ** _MAGNITUDES[unit[0]])


def _names(value: object) -> object:
    """An environment variable holds several names with commas between them."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


NodeAdapters = Annotated[tuple[tuple[NodeName, Path], ...], BeforeValidator(_pairs)]
"""A mapping as pairs, so that settings can be compared and hashed."""


Limits = Annotated[tuple[tuple[int | str, int], ...], BeforeValidator(_limits)]
"""Bytes by place, as pairs in their order."""
Modules = Annotated[tuple[tuple[str, int | str], ...], BeforeValidator(_pairs)]
Spreading = Literal["auto", "one", "balanced", "balanced_low_0", "sequential"]


class ModelSettings(BaseModel):
    """Which model answers, and how; each key is also `LORGNETTE_<KEY>` and a line of `lorgnette.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        "tiny",
        description="`tiny`, a hub id, a local folder, `openvino:` and a folder or hub id of a converted model, or "
        "`http(s)://host/v1#model-name`",
    )
    adapter: Path | None = Field(None, description="Folder of a PEFT adapter")
    node_adapters: NodeAdapters = Field(
        (),
        description="Activated LoRAs that share the base model's prefix, such as `{planner: FOLDER, reviewer: FOLDER}`",
    )
    adapter_nodes: Annotated[tuple[NodeName, ...], BeforeValidator(_names)] = Field(
        ("responder",),
        description="Nodes that use `adapter`; the others plan and review as the base model, for which the picture is "
        "read once more",
    )
    quantization: Quantization = Field(
        "auto", description="auto = none for tiny, nf4 on CUDA under 12 GiB free, else bf16"
    )
    converted_gib: float = Field(
        20.0,
        ge=0,
        description="Disk for nf4 and int8 weights once converted on a CPU, which takes half a minute at each start; "
        "0 = off",
    )
    attn_implementation: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="auto = FlashAttention 2 where its package is installed and the card has it, else sdpa"
    )
    device_map: Spreading | Modules = Field(
        "auto",
        description="auto = one device where the model fits, else spread over cards, memory and `offload_folder`; "
        "one = one device or none; `balanced`, `balanced_low_0`, `sequential` or a mapping of modules as in accelerate",
    )
    max_memory: Limits = Field(
        (), description="What weights may take in each place, such as `{0: 10GiB, cpu: 30GiB}`; none = what is free"
    )
    offload_folder: Path | None = Field(
        None, description="Folder on a disk from which weights are read while it answers, where all else is full"
    )
    roots: tuple[Path, ...] = Field(
        default_factory=lambda: (Path.cwd(),), description="Folders from which pictures may be read"
    )
    max_new_tokens: int = Field(256, ge=1, le=8192, description="Longest answer, in tokens")
    thinking_tokens: int = Field(
        2048, ge=0, le=65536, description="What a thinking model may think before it answers, beside `max_new_tokens`"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="0 means greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling, where temperature is above 0")
    top_k: int = Field(0, ge=0, description="Sampling from so many tokens, where temperature is above 0; 0 = all")
    repetition_penalty: float = Field(
        1.0, gt=0, le=2, description="Makes words less likely that were there already; it spoils tables; 1 = none"
    )
    presence_penalty: float = Field(
        0.0, ge=-2, le=2, description="The same by a fixed step, for the answer's own words; 0 = none"
    )
    seed: int | None = Field(None, description="Of the sampling, where temperature is above 0")
    time_budget_s: float = Field(50.0, gt=0, description="Seconds after which an answer ends with what there is")
    max_pixels: int | None = Field(
        None, ge=1024, description="Pixel budget of a picture; larger ones are scaled down; none = the model's own"
    )
    video_max_pixels: int | None = Field(
        None, ge=1024, description="The same of a film's frame; none = as of a picture"
    )
    queue_size: int = Field(
        8, ge=1, description="Questions of one client that may wait for the model before it says busy"
    )
    prefix_cache_mib: int = Field(
        512, ge=0, description="Memory for prompts and pictures already read, so that they are not read again; 0 = off"
    )
    api_key: SecretStr | None = Field(
        None, description="Key of a remote model; only from `LORGNETTE_API_KEY`, so that no file holds it"
    )

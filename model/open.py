"""Opens the model that the settings name, wherever it is. It loads nothing heavy before it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.hub import OPENVINO
from model.settings import SAMPLING, ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

REMOTE = "remote"
"""The quantisation of a model behind an address: the server decides."""


@dataclass(frozen=True)
class ModelIdentity:
    """Which model answers."""

    name: str
    """As the settings name it; a server's model by its own name."""
    adapter: str | None
    """Folder of the adapter."""
    quantization: str
    """none, nf4 or int8; a converted model's form of weights, such as int4; `remote` where the server decides."""
    node_adapters: tuple[str, ...] = ()
    """Nodes that have an adapter of their own."""
    spread: str = ""
    """How much lies where, if it does not fit on the device."""


def is_remote(address: str) -> bool:
    """Return whether the model is an address of a server."""
    return address.lower().startswith(("http://", "https://"))


def is_converted(model: str) -> bool:
    """Return whether the model is one that was converted for OpenVINO."""
    return model.startswith(OPENVINO)


def open_chat(
    settings: ModelSettings, progress: Callable[[str, float], None] | None = None
) -> "tuple[BaseChatModel, ModelIdentity]":
    """Load the model, or connect to the server; blocks for as long as loading takes.

    Args:
        settings: Which model.
        progress: Told the phase and the share done, 0 to 1.

    Raises:
        ModelError: The model cannot be had; a child names what to do.
    """
    if is_remote(settings.model):
        from model.remote.chat import remote_chat

        remote = remote_chat(settings)
        return remote, ModelIdentity(remote.model_name, None, REMOTE)
    if is_converted(settings.model):
        from model.openvino.chat import ChatOpenVINO
        from model.openvino.load import load_ir

        ir = load_ir(settings, progress)
        return ChatOpenVINO(loaded=ir, **_chat_options(settings)), ModelIdentity(ir.name, None, ir.quantization)
    from model.qwen3_vl.chat import ChatQwen3VL
    from model.qwen3_vl.load import load
    from model.qwen3_vl.reading_speed import speed_of

    loaded = load(settings, progress)
    chat = ChatQwen3VL(loaded=loaded, speed=speed_of(loaded), **_chat_options(settings))
    return chat, ModelIdentity(
        loaded.name, loaded.adapter, loaded.quantization, tuple(loaded.node_adapters), loaded.spread
    )


def _chat_options(settings: ModelSettings) -> dict[str, Any]:
    return {
        **{option: getattr(settings, option) for option in SAMPLING},
        "max_new_tokens": settings.max_new_tokens,
        "thinking_tokens": settings.thinking_tokens,
        "max_pixels": settings.max_pixels,
        "queue_size": settings.queue_size,
        "prefix_cache_mib": settings.prefix_cache_mib,
    }

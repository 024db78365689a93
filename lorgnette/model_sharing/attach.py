"""Opens the chat model that the settings name: that of a running server where it is the same, else its own.

The boundary is the chat model, so that roots, documents, sessions and their security stay in this process.
"""

import logging
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import TYPE_CHECKING

from lorgnette.model_sharing.registry import MODEL_PATH, RunningServer, find_server, get, proves_itself
from lorgnette.settings import Settings
from model.open import ModelIdentity

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.2
"""While the other process still loads its model."""

Progress = Callable[[str, float], None]


def open_model(settings: Settings, progress: Progress | None = None) -> "tuple[BaseChatModel, ModelIdentity]":
    """Attach to a running server's model, or load it here; blocks as `model.open.open_chat` does, and raises so."""
    if settings.attach == "auto":
        attached = attach(settings, progress)
        if attached is not None:
            return attached
    from model.open import open_chat

    return open_chat(settings, progress)


def attach(settings: Settings, progress: Progress | None = None) -> "tuple[BaseChatModel, ModelIdentity] | None":
    """Return the model of a server on this machine; none where none holds the same one."""
    server = find_server(settings)
    if server is None:
        return None
    identity = wait_until_loaded(server, progress or (lambda phase, share: None))
    if identity is None:
        return None
    from model.remote.attached import attached_chat

    logger.info("using the model of process %d at %s", server.pid, server.address)
    chat = attached_chat(
        settings, server.address, server.key, identity.name,
        lambda: not proves_itself(server) or _has_another_adapter(server, identity.adapter),
    )  # fmt: skip
    return chat, identity


def _has_another_adapter(server: RunningServer, adapter: str | None) -> bool:
    """Return whether the holder's model has changed its adapter, so that this process must learn which it is."""
    try:
        state = get(server, MODEL_PATH, server.key)
    except (OSError, HTTPException, ValueError):
        return True
    return state.get("state") == "ready" and state.get("adapter") != adapter


def wait_until_loaded(server: RunningServer, progress: Progress) -> ModelIdentity | None:
    """Return which model it is as soon as it is there; None where it does not come."""
    while True:
        try:
            state = get(server, MODEL_PATH, server.key)
        except (OSError, HTTPException, ValueError):
            return None
        if state.get("state") == "ready":
            nodes = tuple(state["node_adapters"])
            return ModelIdentity(state["name"], state["adapter"], state["quantization"], nodes, state.get("spread", ""))
        if state.get("state") != "loading":
            return None  # it failed there; here it may not, or says why
        progress(f"in process {server.pid}, {state['phase']}", state["share"])
        time.sleep(LOOK_AGAIN_S)

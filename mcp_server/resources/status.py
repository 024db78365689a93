"""How the server is, as `lorgnette://status` tells it: model, documents, queue, settings. It waits for nothing."""

from typing import Any

from common.safe_text import escaped
from lorgnette.documents import Documents
from lorgnette.version import own_version
from mcp_server.state.agent_loader import AgentLoader
from mcp_server.state.limits import Places
from retrieval.errors import RetrievalError
from retrieval.store import without_password

# What a user would want to check; none of them is a secret, but an address may hold a password.
SHOWN = (
    "model", "adapter", "quantization", "roots", "kb", "embedder", "reranker", "effort", "answering",
    "max_new_tokens", "time_budget_s", "sessions", "reports", "tools", "exclude_tools", "read_only", "jobs",
    "job_limit_s", "queue_size", "calls_per_minute", "attach",
)  # fmt: skip


def status(documents: Documents, loader: AgentLoader, places: Places) -> dict[str, Any]:
    """Gather it; reads the catalogue, so call it on a thread."""
    settings = documents.settings
    state, doing, share = loader.state()
    return {
        "version": own_version(),
        "model": {
            "name": without_password(settings.model),
            "state": state,
            "doing": without_password(doing),
            "percent": round(100 * share),
            **_active_adapter(loader),
        },
        "questions": {"answered_or_waiting": places.taken, "may_wait": settings.queue_size},
        "knowledge": _knowledge(documents),
        "settings": {name: _shown(getattr(settings, name)) for name in SHOWN},
    }


def _active_adapter(loader: AgentLoader) -> dict[str, str | None]:
    """Return which adapter the last question was answered with, which the settings need not name, and what failed."""
    agent = loader.opened()
    adapter = agent.identity.adapter if agent is not None and agent.identity is not None else None
    refused = agent.adapter_refused if agent is not None else None
    return {"adapter": adapter and escaped(adapter), "adapter_refused": refused and escaped(refused)}


def _knowledge(documents: Documents) -> dict[str, Any]:
    folder = escaped(str(documents.settings.kb))
    try:
        base = documents.open()
        if base is None:
            return {"folder": folder, "problem": "there is no such folder; name the folder of your documents with --kb"}
        counts = base.catalogue.counts()
    except RetrievalError as error:
        return {"folder": folder, "problem": str(error)}
    return {
        "folder": folder,
        "files": counts.files,
        "skipped": counts.skipped,
        "chunks": counts.chunks,
        "vectors": counts.vectors,
        "generation": counts.generation,
        "embedder_ready": base.embedder_ready,
        "problem": None,
    }


def _shown(value: object) -> object:
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else without_password(escaped(str(value)))

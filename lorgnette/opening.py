"""Opens what the settings name: the agent with its model, the documents, the sessions. It knows no protocol."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from graph.answer import Answer, Event
from graph.settings import Effort
from lorgnette.settings import Settings, data_home
from model.errors import LorgnetteError
from model.pictures.open import Picture
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.agent import Archive
    from model.open import ModelIdentity
    from retrieval.knowledge_base import KnowledgeBase


class Asks(Protocol):
    """What the server needs of an agent (`graph.agent.Agent`)."""

    def ask(
        self,
        question: str,
        images: Sequence[str] = (),
        *,
        session_id: str | None = None,
        use_knowledge: bool = True,
        effort: Effort | None = None,
        max_new_tokens: int | None = None,
        fields: Sequence[str] = (),
        time_budget_s: float | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_pictures: Callable[[Sequence[Picture], int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Answer a question."""


@runtime_checkable
class Borrows(Protocol):
    """An agent whose model another process may hold (`graph.agent.Agent`)."""

    def is_lost(self) -> bool:
        """Return whether it must be opened anew, because that process has ended."""
        ...


@runtime_checkable
class HoldsModel(Protocol):
    """An agent whose chat model can be asked directly (`graph.agent.Agent`)."""

    @property
    def chat(self) -> "BaseChatModel":
        """The chat model."""

    @property
    def identity(self) -> "ModelIdentity":
        """Which model it is."""


@runtime_checkable
class Follows(Protocol):
    """An agent whose model changes its adapter while it runs (`adapter_switch.AdapterSwitch`)."""

    @property
    def refused(self) -> str | None:
        """Why the adapter that was wished for last is not in use; none where it is."""

    def settle(self) -> None:
        """Change it now where that is wished for."""
        ...


OpenAgent = Callable[[Settings, Callable[[str, float], None]], Asks]


def open_real_agent(settings: Settings, progress: Callable[[str, float], None]) -> Asks:
    """Open the model that the settings name; the imports alone take seconds, so they are made here."""
    from lorgnette.model_sharing.adapter_switch import agent_for
    from lorgnette.model_sharing.attach import open_model

    progress("opening the documents", 0.0)
    try:
        knowledge, problem = open_knowledge(settings), None
    except RetrievalError as error:  # pictures can be asked about all the same
        knowledge, problem = None, f"knowledge base: {error}"
    progress("starting the engine", 0.0)
    chat, identity = open_model(settings, progress)
    agent = agent_for(chat, identity, settings, knowledge, open_archive(settings), [problem] if problem else [])
    if knowledge is not None and settings.reranker == "model":
        knowledge.use_reranker(agent.reranker)
    elif knowledge is not None:
        use_named_reranker(knowledge, settings)
    return agent


def use_named_reranker(knowledge: "KnowledgeBase", settings: Settings) -> None:
    """Load the language model that the setting `reranker` names, where it names one, to read what is found."""
    from retrieval.search.rerank import is_generative

    if not is_generative(settings.reranker):
        return
    from graph.model_reranker import judge_of
    from lorgnette.model_sharing.attach import open_model

    name = settings.model if settings.reranker == "model" else settings.reranker
    chat, _ = open_model(settings.model_copy(update={"model": name}))
    knowledge.use_reranker(judge_of(chat, settings.reranker))


def open_archive(settings: Settings) -> "Archive | None":
    """Return the sessions that the settings name, none where they are switched off; opened with their first use."""
    if settings.sessions == "none":
        return None
    from graph.agent import Archive
    from graph.session_store import Sessions

    home = data_home()
    where = str(home / "sessions.sqlite") if settings.sessions == "auto" else settings.sessions
    reports = None if settings.read_only else settings.reports or home / "reports"
    return Archive(Sessions(where, home / "sessions"), reports)


class NoDocuments(LorgnetteError):
    """The folder of the documents is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"There is no folder {str(folder)!r}; name the folder of your documents with --kb DIR.")


class SessionsOff(LorgnetteError):
    """Conversations are not kept."""

    def __init__(self) -> None:
        super().__init__("Sessions are switched off; set sessions to auto.")


_opening = threading.Lock()


_opened: dict[Settings, "KnowledgeBase"] = {}  # one in a process: a second would have to ask the first


def open_knowledge(settings: Settings) -> "KnowledgeBase | None":
    """Open the knowledge base that the settings name, once in a process; none where there is no such folder."""
    if not settings.kb.is_dir():
        return None
    from retrieval.knowledge_base import KnowledgeBase

    with _opening:
        if settings not in _opened:
            key = settings.api_key.get_secret_value() if settings.api_key else None
            _opened[settings] = KnowledgeBase(settings, data_home(), api_key=key)
        return _opened[settings]


def close_knowledge() -> None:
    """Close what `open_knowledge` opened; another process may then own the indexes."""
    with _opening:
        while _opened:
            _opened.popitem()[1].close()

"""Opening the agent in the background, so that the handshake never waits for weights.

It knows neither the protocol nor what a model is: it runs one opening function on a thread, says how
far it got, and tries again after a failure.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import anyio

from graph.answer import Answer, Event
from graph.settings import Effort
from mcp_server.settings import Settings, data_home
from model.errors import LorgnetteError
from model.pictures.open import Picture
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.agent import Archive
    from model.open import ModelIdentity
    from retrieval.knowledge_base import KnowledgeBase

logger = logging.getLogger(__name__)

HANDSHAKE_S = 1.0  # importing torch holds the interpreter lock; the client's first requests go first


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
    """An agent whose model changes its adapter while it runs (`mcp_server.wearing.FollowingAgent`)."""

    @property
    def refused(self) -> str | None:
        """Why the adapter that was wished for last is not worn; none where it is."""

    def settle(self) -> None:
        """Change it now where that is wished for."""
        ...


OpenAgent = Callable[[Settings, Callable[[str, float], None]], Asks]


def open_real_agent(settings: Settings, progress: Callable[[str, float], None]) -> Asks:
    """Open the model that the settings name; the imports alone take seconds, so they are made here."""
    from mcp_server.attach import open_model
    from mcp_server.wearing import agent_for

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
    from mcp_server.attach import open_model

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


class StillLoading(LorgnetteError):
    """The model is not ready within the call's time."""

    def __init__(self, name: str, seconds: float, phase: str) -> None:
        self.name, self.seconds, self.phase = name, seconds, phase
        super().__init__(f"The model {name!r} is still loading, {seconds:.0f} s so far ({phase}); call again.")


class AgentLoader:
    """One agent, opened on a thread; an opening that failed is repeated for the next who asks."""

    def __init__(self, settings: Settings, open_agent: OpenAgent) -> None:
        self._settings, self._open = settings, open_agent
        self._phase, self._share, self._began = "starting", 0.0, time.monotonic()
        self._handshake_done = threading.Event()
        self._opening: Future[Asks] | None = None  # only set on the event loop's thread

    def start(self, ended: Callable[[], None] = lambda: None) -> None:
        """Begin to load, at once after the handshake and at the latest in a second; `ended` hears of its end."""
        self._attempt().add_done_callback(lambda _: ended())

    def handshake_done(self) -> None:
        """Tell that the client has what it needed first."""
        self._handshake_done.set()

    def wait_for_handshake(self) -> None:
        """Wait until the client has what it needed first, a second at most; to be called on another thread."""
        self._handshake_done.wait(HANDSHAKE_S)

    def opened(self) -> Asks | None:
        """Return the agent if it is there; from any thread, and without waiting."""
        opening = self._opening
        return opening.result() if opening and opening.done() and opening.exception() is None else None

    def state(self) -> tuple[Literal["loading", "ready", "failed"], str, float]:
        """Return how the opening stands, how far it is or why it failed in words, and its share; from any thread."""
        opening = self._opening
        if opening is None or not opening.done():
            return "loading", self._phase, self._share
        failure = opening.exception()
        if failure is None:
            return "ready", "ready", 1.0
        known = isinstance(failure, LorgnetteError)  # another one's text is for the log alone
        return "failed", str(failure) if known else f"an unexpected {type(failure).__name__}, see the log", 0.0

    def describe(self) -> str:
        """Say how far the loading is."""
        return f"loading {self._settings.model}: {self._phase} {self._share:.0%}"

    async def agent(self, timeout_s: float) -> Asks:
        """Return the agent as soon as it is there.

        Raises:
            StillLoading: It is not there after `timeout_s`; the loading goes on.
            LorgnetteError: The loading failed; the next call tries again.
        """
        self._handshake_done.set()
        opening = self._attempt()
        with anyio.move_on_after(timeout_s):
            agent = await asyncio.wrap_future(opening)
            if not isinstance(agent, Borrows) or not await anyio.to_thread.run_sync(
                agent.is_lost, abandon_on_cancel=True
            ):
                return agent
            if self._opening is opening:
                self._opening = None
            return await asyncio.wrap_future(self._attempt())
        raise StillLoading(self._settings.model, time.monotonic() - self._began, f"{self._phase} {self._share:.0%}")

    def _attempt(self) -> Future[Asks]:
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._phase, self._share, self._began = "starting", 0.0, time.monotonic()
            self._opening = Future()
            self._opening.set_running_or_notify_cancel()  # a caller that gives up must not cancel it for the others
            threading.Thread(target=self._load, args=(self._opening,), name="model-load", daemon=True).start()
        return self._opening

    def _load(self, opening: "Future[Asks]") -> None:
        self.wait_for_handshake()
        try:
            opening.set_result(self._open(self._settings, self._progress))
        except BaseException as error:  # a thread's edge: whoever waits must hear of it, whatever it is
            if isinstance(error, LorgnetteError):
                logger.warning("the model could not be loaded: %s", error)
            opening.set_exception(error)

    def _progress(self, phase: str, share: float) -> None:
        self._phase, self._share = phase, share

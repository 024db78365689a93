"""The agent: one question with its pictures in, one answer out. It runs the graph."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from graph.answer import Answer, ModelResult, Passage, Turn
from graph.archive import Archive
from graph.errors import PictureMissing, QuestionEmpty, SessionStoreFailed
from graph.history import History
from graph.judging.verdict import TINY_FLOOR
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from graph.settings import AgentSettings
from graph.sight import Sight, open_pictures
from graph.wording.language import prompts_for, tiny_reads
from model.open import REMOTE
from model.pictures.limits import ONE
from model.pictures.picture import Picture
from model.served import served
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.prompts import Prompts
    from graph.run_context import RunContext
    from graph.session_store import Sessions
    from graph.state import AgentState
    from model.open import ModelIdentity
    from retrieval.records import Filter, Line, SearchOutcome
    from retrieval.regions.locate import Cited, Located, PageView
    from retrieval.search.rerank import Reranker
    from retrieval.search.whole_document import WholeDocument
    from retrieval.sync.captions import Captioner

EMBEDDER_S = 10.0  # to wait for, in the first search of a process
SERVER_STEP_SHARE = 0.6
LOCAL_STEP_SHARE = 0.8
"""A step that a server is slow about ends here, so that the answer has the rest of the time."""
TINY_LIMITS = (
    "model: the bundled checkpoint knows drawn shapes only; for photographs and documents run "
    "`lorgnette model pull Qwen/Qwen3-VL-2B-Instruct` and ask with `--model Qwen/Qwen3-VL-2B-Instruct`"
)
TINY_SYSTEM = "model: the bundled checkpoint was trained on one system text and is not told the one of the settings"
SPREAD = "model: it is larger than its device's memory and answers slower: {places}"


class Knowledge(Protocol):
    """What the agent needs of a knowledge base (`retrieval.knowledge_base.KnowledgeBase`)."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is indexed."""

    @property
    def document_names(self) -> tuple[str, ...]:
        """Which documents there are."""

    def search(
        self, query: str, top_k: int = 5, wanted: "Filter | None" = None, *, wait_s: float = 0.0
    ) -> "SearchOutcome":
        """Search the documents."""

    def asked_whole(self, question: str) -> "Sequence[WholeDocument]":
        """Return the documents whose whole a question asks for."""

    def locate(self, cited: "Cited") -> "Located":
        """Return where on its page a passage stands."""

    def page_view(self, cited: "Cited", *, always: bool = False) -> "PageView | None":
        """Return what of a passage's page shows more than its words."""

    def page_words(self, cited: "Cited") -> "Sequence[Line]":
        """Return the words of a passage's page with their places; none where they are not known."""


class Agent(ServedAgent):
    """Answers questions with one chat model; safe to call from several threads."""

    def __init__(
        self,
        chat: "BaseChatModel",
        identity: "ModelIdentity",
        settings: AgentSettings,
        knowledge: "Knowledge | None" = None,
        archive: Archive | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        """Put the agent together; `problems`, such as documents that could not be opened, are said in each answer."""
        self._chat, self._identity, self._settings = chat, identity, settings
        self._knowledge, self._archive, self._problems = knowledge, archive, tuple(problems)
        self._sight = Sight(chat, identity, settings, archive.sessions if archive else None)

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Answer a question; see `ServedAgent.answer`."""
        from graph.run_context import RunContext

        began = time.monotonic()
        if not question.text.strip():
            raise QuestionEmpty
        bundled = self._identity.name == "tiny"
        opened = open_pictures(question.images, self._settings, sampling=ONE if bundled else None)
        pictures = tuple(picture for one in opened for picture in one.pictures)
        knowledge = self._knowledge if question.use_knowledge else None
        search = knowledge is not None and not knowledge.is_empty
        budget_s = self._settings.time_budget_s if question.time_budget_s is None else question.time_budget_s
        deadline = began + budget_s
        cancel = cancel or threading.Event()
        notes = list(self._problems) if question.use_knowledge else []
        notes += [f"pictures: {note}" for one in opened for note in one.notes]
        with self._session(question.session_id, deadline, cancel, notes) as (name, turns, remembered):
            history = self._sight.history(turns, notes)
            full, (pictures, pixels) = pictures, self._sight.fitted(pictures, deadline, notes)
            if bundled and pictures:
                history = History()  # it knows no second picture in a conversation and would look at the first
            if on_pictures is not None:
                on_pictures(pictures or history.pictures, 0)
            if not pictures and not search and not turns:
                raise PictureMissing
            prompts = self._prompts(question.text, bundled, notes)
            whole = _whole(knowledge, question.text, notes) if search else ()
            context = RunContext(
                chat=self._chat,
                model=ModelResult(
                    name=self._identity.name, adapter=self._identity.adapter, quantization=self._identity.quantization
                ),
                prompts=prompts,
                pictures=pictures,
                began=began,
                deadline=deadline,
                cancel=cancel,
                max_new_tokens=question.max_new_tokens or self._settings.max_new_tokens,
                on_event=on_event or (lambda _: None),
                search=lambda query, top_k: _found(knowledge, query, top_k),
                whole=whole,
                document_tokens=self._settings.document_tokens,
                archive=lambda: self._summarize(turns, name),
                session_id=name,
                locate=knowledge.locate if knowledge is not None else None,
                pages=self._pages(knowledge, deadline),
                words=knowledge.page_words if knowledge is not None else lambda passage: (),
                full=full,
                history=history,
                seen=self._sight.noted(pictures, name, pixels),
                fields=question.fields,
                pass_floor=TINY_FLOOR if self._identity.name == "tiny" else None,
                adapter_nodes=frozenset(self._settings.adapter_nodes) if self._identity.adapter else None,
                quotes=self._quotes,
                node_adapters=frozenset(self._identity.node_adapters),
                documents=knowledge.document_names if knowledge is not None and search and not bundled else (),
                unable=prompts.other_language if bundled and not tiny_reads(question.text) else "",
                step_share=SERVER_STEP_SHARE if self._identity.quantization == REMOTE else LOCAL_STEP_SHARE,
            )
            if bundled:
                notes.append(TINY_LIMITS)
            if self._identity.spread:
                notes.append(SPREAD.format(places=self._identity.spread))
            start: AgentState = {
                "question": question.text.strip(),
                "effort": question.effort or self._settings.effort,
                "search": search,
                "whole": bool(whole),
                "pictures": len(pictures) + len(history.pictures),
                "degraded": notes,
            }
            return self._run(start, context, self._archive.sessions if self._archive and remembered else None)

    @property
    def settings(self) -> AgentSettings:
        """How it answers."""
        return self._settings

    @property
    def chat(self) -> "BaseChatModel":
        """The model that answers."""
        return self._chat

    @property
    def identity(self) -> "ModelIdentity":
        """Which model it is."""
        return self._identity

    def is_lost(self) -> bool:
        """Return whether the process that holds the model has ended; the agent is then of no use."""
        return served(self._chat).is_lost()

    def use_adapter(self, folder: Path | None) -> None:
        """Change the model's adapter, or take it off; to be called while no question runs.

        Raises:
            NotOffered, AdapterError, ModelBusy: The adapter is as it was.
        """
        served(self._chat).swap_adapter(folder)
        self._identity = replace(self._identity, adapter=None if folder is None else str(folder))

    @property
    def reranker(self) -> "Reranker":
        """The same model, saying yes or no to passages."""
        from graph.model_reranker import judge_of

        return judge_of(self._chat, self._identity.name)

    @property
    def captioner(self) -> "Captioner":
        """Who describes the documents' pictures, with the same model."""
        from graph.model_captioner import ChatCaptioner

        return ChatCaptioner(lambda: (self._chat, self._identity))

    def _prompts(self, question: str, bundled: bool, notes: list[str]) -> "Prompts":
        prompts, own = prompts_for(question, capable=not bundled), (self._settings.system or "").strip()
        if own and bundled:
            notes.append(TINY_SYSTEM)
        return replace(prompts, system=f"{prompts.system}\n\n{own}") if own and not bundled else prompts

    @property
    def _quotes(self) -> bool:
        answering = self._settings.answering
        return answering == "quote" or (answering == "auto" and self._identity.name == "tiny")

    @contextmanager
    def _session(
        self, session_id: str | None, deadline: float, cancel: threading.Event, notes: list[str]
    ) -> Iterator[tuple[str, list[Turn], bool]]:
        """Hold the session while it is asked; yields its name, its turns, and whether this one will be remembered.

        A store that fails costs the memory and not the answer.
        """
        name = session_id or str(uuid.uuid4())
        if self._archive is None:
            if session_id is not None:
                notes.append("session: nothing is remembered, because sessions are switched off")
            yield name, [], False
            return
        sessions, turns, remembered = self._archive.sessions, list[Turn](), True
        with ExitStack() as held:
            try:
                if session_id:
                    held.enter_context(sessions.exclusively(name, deadline, cancel))
                turns = sessions.turns(name)
            except SessionStoreFailed as error:
                notes.append(f"session: {error}")
                remembered = False
            yield name, turns, remembered

    def _run(self, start: "AgentState", context: "RunContext", sessions: "Sessions | None") -> Answer:
        """Run the graph, which saves the turn at its end where there are sessions."""
        from langsmith import tracing_context

        from graph.build import build_graph
        from graph.session_store import config_of

        # A tracing key in the user's environment must not send pictures away (LangChain would).
        with tracing_context(enabled=False):
            if sessions is None:
                build_graph().invoke(start, context=context)
                return context.finished[-1]
            try:
                with sessions.failures():
                    graph = build_graph(sessions.checkpointer)
                    graph.invoke(start, config_of(context.session_id), context=context, durability="exit")
                    sessions.forget_old_checkpoints(context.session_id)
            except SessionStoreFailed as error:
                if not context.finished:
                    # A node may fail with an OSError too, for which the store is not to blame.
                    raise (error.__cause__ if isinstance(error.__cause__, OSError) else error) from None
                return context.finished[-1].model_copy(
                    update={"degraded": [*context.finished[-1].degraded, f"session: not saved, {error}"]}
                )
        return context.finished[-1]

    def _pages(self, knowledge: "Knowledge | None", deadline: float) -> "Callable[[Sequence[Passage]], list[Picture]]":
        """Return what gives the pages that passages stand on, where the model is to see them."""
        from graph.evidence.page_pictures import pages_of

        how = self._settings.page_pictures
        if knowledge is None or how == "never" or self._identity.name == "tiny":
            return lambda passages: []
        return lambda passages: pages_of(
            passages,
            lambda passage: knowledge.page_view(passage, always=how == "always"),
            lambda page: self._sight.fitted((page,), deadline, [])[0][0],
        )

    def _summarize(self, turns: Sequence[Turn], session_id: str) -> Path | None:
        return self._archive.save(turns, session_id) if self._archive and turns else None


def open_agent(
    settings: AgentSettings,
    progress: Callable[[str, float], None] | None = None,
    knowledge: "Knowledge | None" = None,
    archive: Archive | None = None,
    problems: Sequence[str] = (),
) -> Agent:
    """Load the model that the settings name and return the agent around it; takes seconds to minutes.

    Args:
        settings: Which model, and how it answers.
        progress: Called with the phase of the loading and its share, 0 to 1.
        knowledge: The documents that may be searched.
        archive: Where sessions are remembered; without it each question stands alone.
        problems: What each answer says was missing.

    Raises:
        ModelError: The model is missing, broken, or does not fit.
    """
    from model.open import open_chat

    chat, identity = open_chat(settings, progress)
    return Agent(chat, identity, settings, knowledge, archive, problems)


def _found(knowledge: "Knowledge | None", query: str, top_k: int) -> "SearchOutcome":
    assert knowledge is not None, "the graph searches only where there are documents"
    return knowledge.search(query, top_k, wait_s=EMBEDDER_S)


def _whole(knowledge: "Knowledge | None", question: str, notes: list[str]) -> "Sequence[WholeDocument]":
    assert knowledge is not None, "likewise"
    try:
        return knowledge.asked_whole(question)
    except RetrievalError as error:
        notes.append(f"knowledge base: {error}")
        return ()

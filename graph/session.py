"""The agent: one question with its pictures in, one answer out. It opens the pictures and runs the graph."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from graph.errors import PictureMissing, QuestionEmpty
from graph.evidence import cited
from graph.settings import AgentSettings, Effort
from graph.state import Answer, Box, Event, ModelResult
from model.call import Cancelled
from model.grounding import parse_boxes
from model.images import Picture, open_picture

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.agent_state import AgentState
    from model.open import ModelIdentity
    from retrieval.records import Filter, Found

EMBEDDER_S = 10.0  # to wait for, in the first search of a process
TINY_LIMITS = (
    "model: the bundled checkpoint knows drawn shapes only; for photographs and documents run "
    "`lorgnette model pull Qwen/Qwen3-VL-2B-Instruct` and ask with `--model Qwen/Qwen3-VL-2B-Instruct`"
)


class Knowledge(Protocol):
    """What the agent needs of a knowledge base (`retrieval.base.KnowledgeBase`)."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is indexed."""

    def search(self, query: str, top_k: int = 5, wanted: "Filter | None" = None, *, wait_s: float = 0.0) -> "Found":
        """Search the documents."""


class Agent:
    """Answers questions with one chat model; safe to call from several threads."""

    def __init__(
        self,
        chat: "BaseChatModel",
        identity: "ModelIdentity",
        settings: AgentSettings,
        knowledge: "Knowledge | None" = None,
    ) -> None:
        from graph.build import build_graph

        self._chat, self._identity, self._settings, self._knowledge = chat, identity, settings, knowledge
        self._graph = build_graph()

    def ask(
        self,
        question: str,
        images: Sequence[str] = (),
        *,
        session_id: str | None = None,
        use_knowledge: bool = True,
        effort: Effort | None = None,
        max_new_tokens: int | None = None,
        on_event: Callable[[Event], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Answer a question about the pictures.

        Args:
            question: In the user's words.
            images: Paths inside the roots, or `data:` URLs.
            session_id: The session to go on with; a new one begins without it.
            use_knowledge: Whether documents may be searched.
            effort: Overrides the setting.
            max_new_tokens: Overrides the setting.
            on_event: Called from this thread with the news of each node.
            cancel: Set it from another thread to stop within one token.

        Raises:
            GraphError: The question cannot be answered as it was asked.
            ImageError: A picture was refused.
            ModelError: The model failed, is busy, or was cancelled.
        """
        from langsmith import tracing_context

        from graph.context import Context

        began = time.monotonic()
        if not question.strip():
            raise QuestionEmpty
        pictures = open_pictures(images, self._settings)
        knowledge = self._knowledge if use_knowledge else None
        search = knowledge is not None and not knowledge.is_empty
        if not pictures and not search:
            raise PictureMissing
        context = Context(
            chat=self._chat,
            pictures=pictures,
            deadline=began + self._settings.time_budget_s,
            cancel=cancel or threading.Event(),
            max_new_tokens=max_new_tokens or self._settings.max_new_tokens,
            on_event=on_event or (lambda _: None),
            search=lambda query, top_k: _found(knowledge, query, top_k),
            quotes=self._quotes,
        )
        start: AgentState = {
            "question": question.strip(),
            "effort": effort or self._settings.effort,
            "search": search,
            "pictures": len(pictures),
        }
        # A tracing key in the user's environment must not send pictures away (LangChain would).
        with tracing_context(enabled=False):
            state = self._graph.invoke(start, context=context)
        if context.cancel.is_set():
            raise Cancelled
        boxes = _boxes(state["draft"], pictures)
        return Answer(
            answer=_in_words(state["draft"], boxes),
            citations=cited(state["draft"], state.get("evidence", [])),
            boxes=boxes,
            plan=state.get("plan"),
            review=state.get("review"),
            degraded=[*state.get("degraded", []), *self._notes(session_id, start["effort"])],
            model=ModelResult(
                name=self._identity.name, adapter=self._identity.adapter, quantization=self._identity.quantization
            ),
            usage=context.meter.usage(time.monotonic() - began),
            session_id=session_id or str(uuid.uuid4()),
            truncated=state["truncated"],
        )

    @property
    def _quotes(self) -> bool:
        answering = self._settings.answering
        return answering == "quote" or (answering == "auto" and self._identity.name == "tiny")

    def _notes(self, session_id: str | None, effort: Effort) -> list[str]:
        notes = []
        if effort == "thorough":
            notes.append("effort: several drafts are not written yet, thorough worked like normal")
        if session_id is not None:
            notes.append("session: earlier turns are not read yet, the question was answered on its own")
        if self._identity.name == "tiny":
            notes.append(TINY_LIMITS)
        return notes


def open_pictures(images: Sequence[str], settings: AgentSettings) -> tuple[Picture, ...]:
    """Open the pictures of a question; cheap beside a model, so that a mistyped path need not wait for one.

    Raises:
        ImageError: A picture was refused.
    """
    return tuple(open_picture(source, settings.roots) for source in images)


def open_agent(
    settings: AgentSettings,
    progress: Callable[[str, float], None] | None = None,
    knowledge: "Knowledge | None" = None,
) -> Agent:
    """Load the model that the settings name and return the agent around it; takes seconds to minutes.

    Args:
        settings: Which model, and how it answers.
        progress: Called with the phase of the loading and its share, 0 to 1.
        knowledge: The documents that may be searched.

    Raises:
        ModelError: The model is missing, broken, or does not fit.
    """
    from model.open import open_chat

    chat, identity = open_chat(settings, progress)
    return Agent(chat, identity, settings, knowledge)


def _found(knowledge: "Knowledge | None", query: str, top_k: int) -> "Found":
    assert knowledge is not None, "the graph searches only where there are documents"
    return knowledge.search(query, top_k, wait_s=EMBEDDER_S)


def _boxes(draft: str, pictures: Sequence[Picture]) -> list[Box]:
    found = parse_boxes(draft, [(p.image.width, p.image.height) for p in pictures])
    return [Box(label=b.label, image=b.image, x1=b.x1, y1=b.y1, x2=b.x2, y2=b.y2) for b in found]


def _in_words(draft: str, boxes: Sequence[Box]) -> str:
    """Return the draft, or the boxes in words where the draft is nothing but their JSON."""
    if not boxes or not draft.startswith(("[", "{", "```")):
        return draft
    places = [f"{b.label}: x {b.x1} to {b.x2}, y {b.y1} to {b.y2}" for b in boxes]
    return "; ".join(places) + " (pixels)"

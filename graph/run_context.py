"""What a run of the graph needs beside its state: the model, the opened pictures, limits, and where news goes.

Nothing here is saved with a session; the state (`graph/state.py`) is.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from graph.answer import Answer, Decision, Event, ModelResult, Seen, Usage
from graph.errors import GraphError
from graph.history import History
from graph.prompts import SYSTEM, Prompts
from model.pictures.open import Picture
from retrieval.records import SearchOutcome

D = TypeVar("D", bound=Decision)


@dataclass
class Meter:
    """Counts tokens over all calls of one run."""

    input_tokens: int = 0
    cached_tokens: int = 0
    new_tokens: int = 0

    def add(self, message: AIMessage) -> None:
        """Add the usage that the model reported with this message."""
        usage = message.usage_metadata
        if usage is None:
            return
        self.input_tokens += usage["input_tokens"]
        self.new_tokens += usage["output_tokens"]
        self.cached_tokens += usage.get("input_token_details", {}).get("cache_read", 0)

    def copy(self) -> "Meter":
        """Return the sums so far."""
        return replace(self)

    def since(self, before: "Meter") -> "Meter":
        """Return what was added since."""
        return Meter(
            self.input_tokens - before.input_tokens,
            self.cached_tokens - before.cached_tokens,
            self.new_tokens - before.new_tokens,
        )

    def usage(self, seconds: float) -> Usage:
        """Return the sums in the form of the answer."""
        return Usage(
            prefill_tokens=self.input_tokens - self.cached_tokens,
            cached_tokens=self.cached_tokens,
            new_tokens=self.new_tokens,
            seconds=round(seconds, 3),
        )


@dataclass(frozen=True)
class RunContext:
    """One run's surroundings; `began` and `deadline` are in seconds of `time.monotonic()`."""

    chat: BaseChatModel
    model: ModelResult
    prompts: Prompts
    """In the language of the question."""
    pictures: tuple[Picture, ...]
    """That came with the question."""
    began: float
    deadline: float
    cancel: threading.Event
    max_new_tokens: int
    on_event: Callable[[Event], None]
    search: Callable[[str, int], SearchOutcome]
    """Searches the documents: query and most hits."""
    archive: Callable[[], Path | None]
    """Saves a summary of the session so far and returns its path; none where nothing has been said yet."""
    session_id: str
    history: History = field(default_factory=History)
    """What was said before."""
    seen: tuple[Seen, ...] = ()
    """How the session remembers `pictures`."""
    fields: tuple[str, ...] = ()
    """That the caller wants to have extracted."""
    quotes: bool = False
    """Whether answers from documents are quotations, the model being unable to write about them."""
    node_adapters: frozenset[str] = frozenset()
    """Nodes that use an adapter of their own."""
    meter: Meter = field(default_factory=Meter)
    finished: list[Answer] = field(default_factory=list)
    """The answer, as soon as there is one: it outlives a session that cannot be saved."""

    @property
    def late(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    @property
    def all_pictures(self) -> tuple[Picture, ...]:
        """Those of the history and of the question, in the order in which the model sees them."""
        return (*self.history.pictures, *self.pictures)

    def silent(self) -> "RunContext":
        """Return the same, but nobody hears what is written."""
        return replace(self, on_event=lambda _: None)

    def opening(self, text: str) -> list[BaseMessage]:
        """Return a node's first messages: system text, history and pictures, the same for all nodes, then its text."""
        return [SystemMessage(SYSTEM), *self.history.messages(self.pictures, text)]

    def decide(self, node: str, schema: type[D], messages: Sequence[BaseMessage]) -> tuple[D, AIMessage]:
        """Let the model fill in the schema; returns the decision and the message that carries it.

        Raises:
            GraphError: The endpoint returned something that is not the schema.
            ModelError: As the chat model raises, among them out of time and cancelled.
        """
        parsed, raw = self.fill(node, schema, messages)
        if not isinstance(parsed, schema):
            raise GraphError(f"the model did not answer in the form of {schema.__name__}; try a larger model")
        return parsed, raw

    def fill(
        self, node: str, schema: type[Decision] | dict[str, Any], messages: Sequence[BaseMessage]
    ) -> tuple[Any, AIMessage]:
        """Let the model fill in a pydantic class or a JSON schema; what it returns may be None, or of another shape."""
        structured = self.chat.with_structured_output(schema, include_raw=True)
        reply: Any = structured.invoke(list(messages), **self._limits(node))
        self.meter.add(reply["raw"])
        return reply["parsed"], reply["raw"]

    def _limits(self, node: str) -> dict[str, Any]:
        def on_queue(position: int) -> None:
            self.on_event(Event(node=node, kind="queue", position=position))

        node_adapter = {"node_adapter": node} if node in self.node_adapters else {}
        return {"cancel": self.cancel, "deadline": self.deadline, "on_queue": on_queue, **node_adapter}

    def write(self, node: str, messages: Sequence[BaseMessage], **options: Any) -> AIMessage:
        """Let the model write an answer, passing its words on as it goes; `options` are the chat model's."""
        whole: Any = None
        chunks = self.chat.stream(
            list(messages),
            max_new_tokens=self.max_new_tokens,
            **self._limits(node),
            **options,
        )
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            if chunk.text:
                self.on_event(Event(node=node, kind="text", text=chunk.text))
        assert whole is not None, "a stream always ends with a chunk that carries the usage"
        message = AIMessage(whole.text, usage_metadata=whole.usage_metadata, response_metadata=whole.response_metadata)
        self.meter.add(message)
        return message

"""What a run of the graph needs beside its state: the model, the opened pictures, limits, and where news goes.

Nothing here is saved with a session; the state (`graph/agent_state.py`) is.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graph import prompts
from graph.errors import GraphError
from graph.state import Decision, Event, Usage
from model.images import Picture
from retrieval.records import Found

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

    def usage(self, seconds: float) -> Usage:
        """Return the sums in the form of the answer."""
        return Usage(
            prefill_tokens=self.input_tokens - self.cached_tokens,
            cached_tokens=self.cached_tokens,
            new_tokens=self.new_tokens,
            seconds=round(seconds, 3),
        )


@dataclass(frozen=True)
class Context:
    """One run's surroundings; `deadline` is in seconds of `time.monotonic()`."""

    chat: BaseChatModel
    pictures: tuple[Picture, ...]
    deadline: float
    cancel: threading.Event
    max_new_tokens: int
    on_event: Callable[[Event], None]
    search: Callable[[str, int], Found]
    """Searches the documents: query and most hits."""
    quotes: bool = False
    """Whether answers from documents are quotations, the model being unable to write about them."""
    meter: Meter = field(default_factory=Meter)

    @property
    def late(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    def opening(self, text: str) -> list[BaseMessage]:
        """Return the first messages of a node's conversation: system text, pictures, then what differs."""
        blocks: list[str | dict[Any, Any]] = [{"type": "image", "image": p} for p in self.pictures]
        return [SystemMessage(prompts.SYSTEM), HumanMessage([*blocks, {"type": "text", "text": text}])]

    def decide(self, schema: type[D], messages: list[BaseMessage]) -> tuple[D, AIMessage]:
        """Let the model fill in the schema; returns the decision and the message that carries it.

        Raises:
            GraphError: The endpoint returned something that is not the schema.
            ModelError: As the chat model raises, among them out of time and cancelled.
        """
        structured = self.chat.with_structured_output(schema, include_raw=True)
        reply: Any = structured.invoke(messages, cancel=self.cancel, deadline=self.deadline)
        parsed, raw = reply["parsed"], reply["raw"]
        if not isinstance(parsed, schema) or not isinstance(raw, AIMessage):
            raise GraphError(f"the model did not answer in the form of {schema.__name__}; try a larger model")
        self.meter.add(raw)
        return parsed, raw

    def write(self, node: str, messages: list[BaseMessage]) -> AIMessage:
        """Let the model write an answer, passing its words on as it goes."""
        whole: Any = None
        chunks = self.chat.stream(
            messages, cancel=self.cancel, deadline=self.deadline, max_new_tokens=self.max_new_tokens
        )
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            if chunk.text:
                self.on_event(Event(node=node, kind="text", text=chunk.text))
        assert whole is not None, "a stream always ends with a chunk that carries the usage"
        message = AIMessage(whole.text, usage_metadata=whole.usage_metadata, response_metadata=whole.response_metadata)
        self.meter.add(message)
        return message

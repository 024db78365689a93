"""What a run of the graph needs beside its state: the model, the opened pictures, limits, and where news goes.

Nothing here is saved with a session; the state (`graph/state.py`) is.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from common.safe_text import printable
from graph.answer import Answer, Decision, Event, ModelResult, Passage, Seen, Usage
from graph.errors import Undecided
from graph.history import History
from graph.prompts import Prompts
from graph.reading.decisions import Unreadable, read_decision, read_fields
from graph.repetition import RepetitionGuard
from graph.spoken import Spoken
from graph.wording.conversation import show
from model.call_options import Cancelled, DeadlineExceeded
from model.errors import ModelError
from model.pictures.picture import Picture
from model.thinking import WITHDRAWN_KEY, split_thinking, thinking_of
from retrieval.records import SearchOutcome

if TYPE_CHECKING:
    from retrieval.records import Line
    from retrieval.regions.locate import Located
    from retrieval.search.whole_document import WholeDocument

ATTEMPTS = 2
"""How often a decision is asked for that cannot be read."""
NAMED = 12
"""So many documents are named."""
NAME_CHARS = 80
REPETITION = "repetition"
"""Why an answer ended that repeated itself without end, in its `finish_reason`."""
SHOWN_CHARS = 600
"""So much of what could not be read the model is shown again."""
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
    locate: "Callable[[Passage], Located] | None" = None
    """Finds where a passage can be seen; None where nobody can."""
    pages: Callable[[Sequence[Passage]], list[Picture]] = lambda passages: []
    """Gives pictures of the pages on which passages stand, where the model is to see any."""
    words: "Callable[[Passage], Sequence[Line]]" = lambda passage: ()
    """Gives the words of a passage's page with their places; none where nobody knows them."""
    full: tuple[Picture, ...] = ()
    """`pictures` in full, where these were made smaller for the model."""
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
    adapter_nodes: frozenset[str] | None = None
    """Nodes that use the model's adapter; None if it has none for all calls."""
    whole: "Sequence[WholeDocument]" = ()
    """Documents whose whole the question asks for, as for a summary; mostly none."""
    document_tokens: int = 3000
    """How much of them the model reads."""
    documents: tuple[str, ...] = ()
    """Names of those that can be searched."""
    unable: str = ""
    """What is said in place of an answer where the model cannot read the question's language."""
    pass_floor: float | None = None
    """Probability of an answer under which its PASS is withheld; None for models that were not calibrated."""
    step_share: float = 1.0
    """Share of the time left that one decision may take."""
    meter: Meter = field(default_factory=Meter)
    finished: list[Answer] = field(default_factory=list)
    """The answer, as soon as there is one: it outlives a session that cannot be saved."""

    @property
    def late(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    @property
    def is_taught(self) -> bool:
        """Whether the bundled checkpoint answers from quotations, in the texts that it was taught."""
        return self.quotes and self.prompts.plans_steps

    def silent(self) -> "RunContext":
        """Return the same, but nobody hears what is written."""
        return replace(self, on_event=lambda _: None)

    def opening(self, text: str) -> list[BaseMessage]:
        """Return a node's first messages: system text, history and pictures, the same for all nodes, then its text."""
        if self.pictures and self.history.pictures and self.prompts.about_these:
            text = f"{text}\n{self.prompts.about_these.format(count=len(self.pictures))}"
        return [SystemMessage(self.prompts.system), *self.history.messages(self.pictures, text)]

    @property
    def documents_in_words(self) -> str:
        """The names of some documents, as the prompts have them."""
        if not self.documents:
            return ""
        names = ", ".join(" ".join(printable(name).split())[:NAME_CHARS] for name in self.documents[:NAMED])
        form = self.prompts.documents if len(self.documents) <= NAMED else self.prompts.more_documents
        return form.format(names=names, count=len(self.documents))

    @property
    def own_pictures(self) -> tuple[Picture, ...]:
        """Those that the question is about, by whose numbers boxes count: its own, else the session's."""
        return self.pictures or self.history.pictures

    def decide(
        self, node: str, schema: type[D], messages: Sequence[BaseMessage], *, form: type[Decision] | None = None
    ) -> tuple[D, AIMessage]:
        """Let the model fill in the schema; returns the decision and the message that carries it.

        What cannot be read is asked for once more. No failure here need fail the question.

        Args:
            node: Who asks.
            schema: What is read.
            messages: The conversation.
            form: What the model is asked for, where that is less; the rest has defaults.

        Raises:
            Undecided: It was not to be had; the reason is in words for the user.
            Cancelled: As the chat model raises.
        """
        asked = list(messages)
        try:
            for _ in range(ATTEMPTS):
                raw = self._filled(node, form or schema, asked)
                try:
                    return read_decision(schema, raw.text or thinking_of(raw)), raw
                except Unreadable as error:
                    reason = f"what the model wrote could not be read ({error})"
                asked = [
                    *messages,
                    AIMessage(raw.text[:SHOWN_CHARS] or "{}"),
                    HumanMessage(self._again(form or schema)),
                ]
        except Cancelled:
            raise
        except ModelError as error:
            reason = self._reason(error)
        raise Undecided(schema.__name__.lower(), reason)

    def fill(
        self, node: str, fields: Mapping[str, Any], messages: Sequence[BaseMessage]
    ) -> tuple[dict[str, Any] | None, AIMessage]:
        """Let the model fill in a JSON schema's fields; none where what it wrote, twice, has no such object.

        Raises:
            ModelError: As the chat model raises.
        """
        asked, raw = list(messages), AIMessage("")
        for _ in range(ATTEMPTS):
            raw = self._filled(node, dict(fields), asked)
            if (values := read_fields(fields["properties"], raw.text or thinking_of(raw))) is not None:
                return values, raw
            asked = [*messages, AIMessage(raw.text[:SHOWN_CHARS] or "{}"), HumanMessage(self._again(fields))]
        return None, raw

    def _filled(self, node: str, schema: type[Decision] | dict[str, Any], messages: Sequence[BaseMessage]) -> AIMessage:
        limits = self._limits(node)
        if node != "responder":  # a server's slow step must not take the answer's time
            limits["deadline"] = time.monotonic() + (self.deadline - time.monotonic()) * self.step_share
        reply: Any = self.chat.with_structured_output(schema, include_raw=True).invoke(list(messages), **limits)
        raw: AIMessage = reply["raw"]
        self.meter.add(raw)
        if thought := thinking_of(raw):
            self.on_event(Event(node=node, kind="thinking", text=thought))
        show(node, messages, raw)
        return raw

    def _again(self, schema: type[Decision] | Mapping[str, Any]) -> str:
        properties = schema["properties"] if isinstance(schema, Mapping) else schema.model_json_schema()["properties"]
        return self.prompts.again.format(keys=", ".join(f'"{key}"' for key in properties))

    def _reason(self, error: ModelError) -> str:
        """Say in words why a step failed."""
        if isinstance(error, DeadlineExceeded):
            return "the time budget was spent" if self.late else "the model took too long over it"
        return str(error).rstrip(".")

    def _limits(self, node: str) -> dict[str, Any]:
        def on_queue(position: int) -> None:
            self.on_event(Event(node=node, kind="queue", position=position))

        own: dict[str, Any] = {"node_adapter": node} if node in self.node_adapters else {}
        if self.adapter_nodes is not None and node not in self.adapter_nodes:
            own["adapter"] = False
        return {"cancel": self.cancel, "deadline": self.deadline, "on_queue": on_queue, **own}

    def write(self, node: str, messages: Sequence[BaseMessage], **options: Any) -> AIMessage:
        """Let the model write an answer, passing its words on as it goes; `options` are the chat model's."""
        message, thought = self._streamed(node, messages, options)
        if not message.text.strip() and thought and options.get("thinking") is not False:
            # All it may write went into thinking: once more, and shorter.
            message, _ = self._streamed(node, messages, {**options, "thinking": False})
        return message

    def _streamed(
        self, node: str, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> tuple[AIMessage, str]:
        whole: Any = None
        said = thought = ""
        guard, spoken = RepetitionGuard(), Spoken()
        chunks = self.chat.stream(list(messages), max_new_tokens=self.max_new_tokens, **self._limits(node), **options)
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk
            if chunk.additional_kwargs.get(WITHDRAWN_KEY):
                said, thought, guard, spoken = "", thought + said, RepetitionGuard(), Spoken()
                self.on_event(Event(node=node, kind="withdrawn"))
            if new := thinking_of(chunk):
                thought += new
                self.on_event(Event(node=node, kind="thinking", text=new))
            if chunk.text:
                said += chunk.text
                if shown := spoken.add(chunk.text):
                    self.on_event(Event(node=node, kind="text", text=shown))
                if guard.add(chunk.text):
                    break
        end = dict(whole.response_metadata) if whole is not None else {}
        if guard.cut_at is not None:
            chunks.close()  # type: ignore[attr-defined]  # a generator: its model writes no further
            said, end["finish_reason"] = said[: guard.cut_at].rstrip(), REPETITION
            self.on_event(Event(node=node, kind="withdrawn"))
            if shown := Spoken().add(said):
                self.on_event(Event(node=node, kind="text", text=shown))
        assert whole is not None, "a stream always ends with a chunk that carries the usage"
        thought_in_text, said = split_thinking(said)
        message = AIMessage(said, usage_metadata=whole.usage_metadata, response_metadata=end)
        self.meter.add(message)
        show(node, messages, message)
        return message, thought + thought_in_text

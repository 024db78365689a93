"""What a caller may ask of one model call, and how it may end early; shared by the local and the remote model.

It runs no model and knows no network.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from model.errors import Cancelled as Cancelled
from model.errors import ModelError

PROBABILITY_KEY = "probability"
"""Of an answer by the model itself, in `response_metadata`; only local models tell it."""
LEFT_OUT_KEY = "left_out"
"""Of an answer by a server, in `response_metadata`: the user's sampling options that it refused."""
POLL_S = 0.05
"""How often a waiting caller looks at its cancel event; threading has no way to wait for two things."""


class DeadlineExceeded(ModelError):
    """Time was up before a structured answer was complete."""

    def __init__(self, schema: str, seconds: float) -> None:
        super().__init__(
            f"Time was up after {seconds:.1f} s with {schema!r} half written; allow more time or fewer tokens."
        )
        self.schema = schema
        self.seconds = seconds


class InvalidCall(ModelError):
    """A call option has a value that cannot be used."""

    def __init__(self, option: str, value: object, reason: str) -> None:
        super().__init__(f"The call option {option!r} cannot be {value!r}: {reason}; change it or leave it out.")
        self.option = option
        self.value = value


class InvalidOutput(ModelError):
    """The model's text is not what the schema asks for."""

    def __init__(self, schema: str, text: str, reason: str) -> None:
        shown = text if len(text) <= 200 else text[:200] + "..."
        super().__init__(f"The model's answer {shown!r} is no {schema!r}: {reason}; ask again or try another model.")
        self.schema = schema
        self.text = text


class UnsupportedSchema(ModelError):
    """The schema cannot be turned into a grammar that always ends."""

    def __init__(self, schema: str, reason: str) -> None:
        super().__init__(f"The schema {schema!r} cannot be used: {reason}.")
        self.schema = schema


@dataclass(frozen=True)
class Generated:
    """An answer and what it cost."""

    text: str
    finish_reason: str
    """stop, length or deadline."""
    input_tokens: int
    output_tokens: int
    seconds: float
    """Without the time in the queue."""
    cached_tokens: int = 0
    """Input tokens that did not have to be read again."""
    thought: str = ""
    """What a thinking model wrote before the text."""
    probability: float | None = None
    """Of the text by the model itself; None for what a grammar wrote along."""


class Cancellation:
    """A call's own switch beside the caller's event, which others may share and we must not set."""

    def __init__(self, event: threading.Event | None) -> None:
        self._event = event
        self._own = threading.Event()

    def set(self) -> None:
        """Cancel this call alone."""
        self._own.set()

    def is_set(self) -> bool:
        """Return whether anybody cancelled."""
        return self._own.is_set() or (self._event is not None and self._event.is_set())


def _stop_strings(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value or ()


class Call(BaseModel):
    """The options of one call."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_stop_strings)] = ()
    """Texts that end the answer; they are not part of it."""
    max_new_tokens: int = Field(ge=1)
    """Longest answer, in tokens."""
    temperature: float = Field(ge=0)
    """0 means greedy."""
    top_p: float = Field(gt=0, le=1)
    """Nucleus sampling, where temperature is above 0."""
    top_k: int = Field(default=0, ge=0)
    """Draw from so many tokens, where temperature is above 0; 0 is all."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Divides the scores of tokens that were there, prompt and answer; 1 is none."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Taken from the scores of tokens that the answer has already; 0 is none."""
    seed: int | None = None
    """Of the sampling."""
    cancel: threading.Event | None = None
    """Set by the caller to end the call."""
    deadline: float | None = None
    """`time.monotonic()` at which the answer ends with what there is."""
    node_adapter: str | None = None
    """Activated adapter that this call uses; one of `Loaded.node_adapters`."""
    adapter: bool = True
    """Whether the call uses the adapter of the model, if it has one for all calls; without it the base answers."""
    on_queue: Callable[[int], None] | None = None
    """Told how many questions come before this one, each time that this changes; 0 when its turn has come."""
    output_schema: Any = None
    """Pydantic class or JSON schema that the answer must follow."""
    thinking: bool | None = None
    """False asks a thinking model to answer at once, where it lets itself be asked; so does a schema."""

    @property
    def thinks(self) -> bool:
        """Whether a thinking model is to think."""
        return self.output_schema is None if self.thinking is None else self.thinking

    def is_over(self) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def parse_call(defaults: Mapping[str, Any], stop: list[str] | None, options: Mapping[str, Any]) -> Call:
    """Return the call's options, None meaning the default.

    Raises:
        InvalidCall: An unknown option, or a value out of range.
    """
    given = {key: value for key, value in options.items() if value is not None and key != "stream"}
    try:
        return Call(**{**defaults, **given, "stop": stop})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        raise InvalidCall(option, first["input"], first["msg"]) from error


def schema_name(schema: Any) -> str:
    """Return the name of a pydantic class or the title of a JSON schema."""
    return str(schema.get("title", "object")) if isinstance(schema, dict) else schema.__name__


def json_schema(schema: Any) -> dict[str, Any]:
    """Return the JSON schema of a pydantic class, or the given one.

    Raises:
        UnsupportedSchema: Neither of them.
    """
    if isinstance(schema, dict):
        return schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_json_schema()
    raise UnsupportedSchema(repr(schema), "it is neither a pydantic class nor a JSON schema; pass one of them")


def metadata(
    finish_reason: str,
    seconds: float,
    model_name: str,
    probability: float | None = None,
    left_out: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the `response_metadata` of an answer; `left_out` names sampling options that a server refused."""
    told: dict[str, Any] = {} if probability is None else {PROBABILITY_KEY: probability}
    if left_out:
        told[LEFT_OUT_KEY] = list(left_out)
    return {"finish_reason": finish_reason, "seconds": seconds, "model_name": model_name, **told}


def usage(input_tokens: int, output_tokens: int, cache_read: int = 0) -> UsageMetadata:
    """Return the `usage_metadata` of an answer."""
    return UsageMetadata(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        input_token_details={"cache_read": cache_read},
    )


def structured(chat: BaseChatModel, schema: Any, *, include_raw: bool) -> Runnable[Any, Any]:
    """Return a runnable that answers with an instance of `schema`; call options pass through to `chat`.

    With `include_raw` it answers {"raw": AIMessage, "parsed": instance or None, "parsing_error": error or None}.
    """
    name = schema_name(schema) if json_schema(schema) else "object"
    adapter = None if isinstance(schema, dict) else schema

    def parse(message: AIMessage) -> Any:
        text = message.content if isinstance(message.content, str) else str(message.text)
        try:
            return json.loads(text) if adapter is None else adapter.model_validate_json(text)
        except ValueError as error:  # pydantic's and json's errors are both ValueError
            raise InvalidOutput(name, text, _first_line(error)) from error

    def parse_with_raw(message: AIMessage) -> dict[str, Any]:
        try:
            return {"raw": message, "parsed": parse(message), "parsing_error": None}
        except InvalidOutput as error:
            return {"raw": message, "parsed": None, "parsing_error": error}

    parser: RunnableLambda[AIMessage, Any] = RunnableLambda(parse_with_raw if include_raw else parse)
    return chat.bind(output_schema=schema) | parser


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else first["msg"]
    return str(error).splitlines()[0]

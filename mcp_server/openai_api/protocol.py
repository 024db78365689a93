"""The part of the OpenAI chat protocol that Lorgnette speaks: requests in, answers out. It asks no model.

What a client may leave out or sends for other servers is passed over; what would change the answer and is not to be had
is refused.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from common.errors import LorgnetteError
from model.call_options import PROBABILITY_KEY
from model.pictures.data_url import is_data_url
from model.pictures.limits import ImageLimits
from model.pictures.open import open_source

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

NEUTRAL: dict[str, tuple[object, ...]] = {
    "tools": ([],), "functions": ([],), "tool_choice": ("none", "auto"), "function_call": ("none", "auto"),
    "n": (1,), "best_of": (1,), "logprobs": (False,), "top_logprobs": (0,), "prompt_logprobs": (0, False),
    "logit_bias": ({},), "frequency_penalty": (0,), "audio": (), "modalities": (["text"],), "prediction": (),
    "web_search_options": (), "min_p": (0,), "typical_p": (1,), "top_a": (0,), "tfs_z": (1,), "mirostat": (0,),
    "repeat_last_n": (), "dry_multiplier": (0,), "xtc_probability": (0,), "length_penalty": (1,),
    "use_beam_search": (False,), "early_stopping": (False,), "min_tokens": (0,), "stop_token_ids": ([],),
    "ignore_eos": (False,), "include_stop_str_in_output": (False,), "allowed_token_ids": ([],), "bad_words": ([],),
    "guided_regex": (), "guided_choice": (), "guided_grammar": (), "grammar": ("",), "structured_outputs": ({},),
    "structural_tag": (), "echo": (False,), "suffix": ("",), "add_generation_prompt": (True,),
    "continue_final_message": (False,), "chat_template": (), "documents": ([],), "logits_processors": ([],),
}  # fmt: skip
"""Options that are not to be had, and the values with which they change nothing."""
HINTS = {
    "guided_regex": "use response_format with a json_schema", "guided_choice": "use response_format with an enum",
    "guided_grammar": "use response_format with a json_schema", "grammar": "use response_format with a json_schema",
    "structured_outputs": "use response_format with a json_schema",
    "previous_response_id": "send the whole conversation as input",
    "tools": "ask through MCP, whose tools there are", "tool_choice": "there are no tools here",
    "n": "ask several times, with a seed each", "min_p": "use top_p or top_k",
    "frequency_penalty": "use presence_penalty or repetition_penalty",
}  # fmt: skip
"""What does the same, or nearly."""


class RequestInvalid(LorgnetteError):
    """The request is not what the protocol says."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The request cannot be used: {reason}; correct it.")


class OptionMissing(LorgnetteError):
    """An option that this server does not have."""

    def __init__(self, option: str, value: object) -> None:
        self.option = option
        instead = HINTS.get(option)
        fix = f"leave it out, or {instead}" if instead else "leave it out"
        super().__init__(f"The option {option!r} cannot be {value!r:.80}: this server does not have it; {fix}.")


class Message(BaseModel):
    """Who says what."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]] | None = None


class Schema(BaseModel):
    """A JSON schema."""

    name: str = "object"
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """In which form the answer is wanted."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None


class StreamOptions(BaseModel):
    """How the answer is streamed."""

    include_usage: bool = False


class Extension(BaseModel):
    """What Lorgnette asks of Lorgnette."""

    model_config = ConfigDict(extra="forbid")

    node_adapter: str | None = None
    """Activated adapter that the call uses."""
    adapter: bool = True
    """Whether the call uses the model's adapter, if it has one."""
    deadline_s: float | None = None
    """Seconds after which the answer ends with what there is."""


class Asked(BaseModel):
    """What every request has."""

    model_config = ConfigDict(extra="allow")

    messages: list[Message] = Field(min_length=1)
    user: str | None = None
    """Whose question it is; clients take turns."""


R = TypeVar("R", bound=Asked)


class ChoiceRequest(Asked):
    """A question that is answered with one of some words."""

    words: list[str] = Field(min_length=1, max_length=100)


class ChatRequest(Asked):
    """A question that is answered with text."""

    model: str
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    repetition_penalty: float | None = Field(
        None, gt=0, validation_alias=AliasChoices("repetition_penalty", "repeat_penalty")
    )
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    guided_json: dict[str, Any] | str | None = None
    """As vLLM takes it: the schema that the answer follows."""
    lorgnette: Extension | None = None

    def options(self) -> dict[str, Any]:
        """Return the chat model's call options.

        Raises:
            OptionMissing: One is not to be had.
        """
        given = self.model_extra or {}
        for option, neutral in NEUTRAL.items():
            if given.get(option) is not None and given[option] not in neutral:
                raise OptionMissing(option, given[option])
        extension = self.lorgnette or Extension()
        return {
            "stop": [stop for stop in ([self.stop] if isinstance(self.stop, str) else self.stop or []) if stop],
            "max_new_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "presence_penalty": self.presence_penalty,
            "seed": self.seed,
            "node_adapter": extension.node_adapter,
            "adapter": None if extension.adapter else False,
            "deadline": None if extension.deadline_s is None else time.monotonic() + extension.deadline_s,
            "output_schema": self._schema(),
        }

    def _schema(self) -> dict[str, Any] | None:
        wanted = self.response_format
        if self.guided_json is not None:
            return _guided(self.guided_json)
        if wanted is None or wanted.type == "text":
            return None
        if wanted.json_schema is None:
            raise RequestInvalid("response_format needs type 'json_schema' and a json_schema")
        return {"title": wanted.json_schema.name, **wanted.json_schema.schema_}


def _guided(schema: dict[str, Any] | str) -> dict[str, Any]:
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError:
            schema = ""
    if not isinstance(schema, dict):
        raise RequestInvalid("guided_json is no JSON schema")
    return {"title": "object", **schema}


def parse(form: type[R], body: bytes, limits: ImageLimits) -> tuple[R, "list[BaseMessage]"]:
    """Return the request of this form, and its messages with their pictures opened.

    Raises:
        RequestInvalid: It is not of this form.
        LorgnetteError: A picture or another part of a message cannot be used.
    """
    try:
        request = form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise RequestInvalid(f"{place}: {first['msg']}") from None
    return request, [_message(message, limits) for message in request.messages]


def _message(message: Message, limits: ImageLimits) -> "BaseMessage":
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "developer": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    content = message.content or ""
    if isinstance(content, list):
        parts = [block for part in _pictures_first(content) for block in _part(part, limits)]
        return kinds[message.role](content=parts)
    return kinds[message.role](content=content)


def _pictures_first(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts with what is looked at before the text, where all text stands before all of it.

    The models were trained so, and a client that writes its question first means the same. Where they alternate, the
    order says which text belongs to which picture, and stays.
    """
    is_text = [part.get("type") in ("text", "input_text") for part in content]
    texts = sum(is_text)
    if 0 < texts < len(content) and all(is_text[:texts]):
        return content[texts:] + content[:texts]
    return content


def _part(part: dict[str, Any], limits: ImageLimits) -> list[dict[str, Any]]:
    """Return a part as the chat model takes it; what no model reads, it refuses itself."""
    kind = part.get("type")
    given: Any = part.get(kind) if kind in ("image_url", "video_url", "file") else None
    address = given.get("file_data" if kind == "file" else "url") if isinstance(given, dict) else given
    if isinstance(address, str) and is_data_url(address):
        from graph.history import picture_blocks

        return picture_blocks(open_source(address, (), limits=limits).pictures)
    if kind in ("video_url", "file"):
        raise RequestInvalid(f"a {kind} is taken as a data: URL in base64 alone")
    return [part]


@dataclass
class Reply:
    """One answer in the protocol's words."""

    model: str
    number: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, finish_reason: str, usage: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer in one piece."""
        choice = {
            "index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None,
            "finish_reason": finish_reason,
        }  # fmt: skip
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(usage)}

    def piece(self, text: str) -> dict[str, Any]:
        """Return the next words."""
        return self._chunk({"role": "assistant", "content": text}, None)

    def end(self, finish_reason: str) -> dict[str, Any]:
        """Return why it ended."""
        return self._chunk({}, finish_reason)

    def usage(self, usage: Mapping[str, Any], probability: float | None = None) -> dict[str, Any]:
        """Return what it cost, and for other processes of Lorgnette how likely the model found its answer."""
        told = {} if probability is None else {"lorgnette": {PROBABILITY_KEY: probability}}
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(usage), **told}

    def _chunk(self, delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.number, "object": kind, "created": self.created, "model": self.model}


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {"cached_tokens": usage.get("input_token_details", {}).get("cache_read", 0)},
    }

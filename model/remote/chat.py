"""A model behind an OpenAI-compatible address (vLLM, SGLang, llama.cpp, Ollama) as the same chat model.

It keeps no queue and retries once at most: the server has its own queue, and who waits wants to know why.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from queue import SimpleQueue
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import Field, PrivateAttr, SecretStr, model_validator

from model.call_options import (
    Call,
    json_schema,
    parse_call,
    schema_name,
    structured,
)
from model.messages import Text, Turn, Video, parse_messages
from model.pictures.picture import to_data_url
from model.remote.answer import RemoteAnswer, next_chunk
from model.remote.errors import (
    RemoteAddressInvalid,
    RemoteBrokeOff,
    RemoteBusy,
    RemoteError,
    RemoteFailed,
    RemoteModelNotFound,
    RemoteOptionRefused,
    RemoteRefused,
    RemoteTimeout,
    RemoteUnavailable,
    RemoteUnreadable,
)
from model.remote.plain_stream import PlainCompletions
from model.remote.refused_options import refused_among, with_schema_in_words
from model.remote.reply import ARGUMENTS_KEY, in_one_form
from model.settings import SAMPLING, ModelSettings
from model.thinking import THINKING_KEY, is_named_thinker

CONNECT_TIMEOUT_S = 5.0
MAX_RETRIES = 1


def remote_chat(settings: ModelSettings) -> "RemoteChat":
    """Return the chat model behind `settings.model`; nothing is sent before the first question.

    Raises:
        RemoteAddressInvalid: Not `http(s)://host/v1#model-name`.
        RemoteOptionRefused: An adapter or a quantisation, which are the server's.
    """
    parts = _split(settings.model)
    if settings.adapter is not None:
        raise RemoteOptionRefused("adapter", str(settings.adapter))
    if settings.quantization not in ("auto", "none"):
        raise RemoteOptionRefused("quantization", settings.quantization)
    return RemoteChat(
        model=parts.fragment,
        base_url=parts._replace(fragment="").geturl().rstrip("/"),
        api_key=settings.api_key or SecretStr("none"),  # the client refuses to have none
        max_tokens=settings.max_new_tokens,
        thinking_tokens=settings.thinking_tokens,
        **{option: getattr(settings, option) for option in SAMPLING},
        timeout=openai.Timeout(settings.time_budget_s, connect=CONNECT_TIMEOUT_S),
        silence_s=settings.time_budget_s,
        # No connection is kept: it belongs to the event loop that made it, and calls come from several.
        default_headers={"Connection": "close"},
    )


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        named = parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != 0  # may raise, too
    except ValueError as error:
        raise RemoteAddressInvalid(address, f"cannot be read ({error})") from error
    if parts.username is not None or parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        raise RemoteAddressInvalid(parts._replace(netloc=f"***@{host}").geturl(), "holds a user or a password")
    if not named or any(character.isspace() for character in parts.netloc):
        raise RemoteAddressInvalid(address, "names no server")
    if parts.query:
        raise RemoteAddressInvalid(address, "has a query")
    if not parts.fragment.strip():
        raise RemoteAddressInvalid(address, "does not name the model")
    return parts


class RemoteChat(BaseChatOpenAI):
    """Same messages, call options and answers as `ChatQwen3VL`.

    Every answer is streamed from the server, also for `invoke`, so that `cancel` and `deadline` work: the stream is
    closed at once, also while the server is silent, and servers then stop generating. A server that reports no usage
    gives zeros. Calls raise RemoteError's children beside those of the local model.

    What the model thinks is in `additional_kwargs["reasoning_content"]` and not in the text, whichever form the server
    gives it. Options that the server refuses and that the answer can do without are left out from then on.
    """

    # BaseChatOpenAI, not ChatOpenAI: that one renames max_tokens to max_completion_tokens, which older servers ignore.

    silence_s: float
    """Longest wait for the next piece, in seconds."""
    thinking_tokens: int = Field(default=2048, ge=0)
    """What a thinking model may write beside its answer: servers count both as one."""
    top_k: int = Field(default=0, ge=0)
    """Draw from so many tokens; 0 is all. Not OpenAI's, but taken by vLLM, SGLang, llama.cpp and Ollama."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Of tokens that were there; 1 is none. As `top_k`."""
    negotiates: bool = True
    """Whether what the server refuses is left out, rather than told; and thinking is looked after here, not there."""
    lossless: bool = False
    """Whether large pictures, too, are sent as they are, not as JPEG."""
    max_retries: int | None = MAX_RETRIES
    stream_usage: bool | None = True
    use_responses_api: bool | None = False
    stream_chunk_timeout: float | None = None

    _thinks: bool = PrivateAttr(default=False)
    _thinks_in_text: bool | None = PrivateAttr(default=None)  # without an opening tag; None where that is not known yet
    _refused: frozenset[str] = PrivateAttr(default=frozenset())

    def model_post_init(self, context: Any) -> None:
        """Expect thinking of a model that is named for it."""
        super().model_post_init(context)
        self._thinks = self.negotiates and is_named_thinker(self.model_name)

    @model_validator(mode="after")
    def _with_plain_pieces(self) -> Self:
        # Behind LangChain's own validator, which makes the client.
        if not isinstance(self.async_client, PlainCompletions):
            self.async_client = PlainCompletions(self.async_client)
        return self

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    @property
    def _address(self) -> str:
        return str(self.openai_api_base)

    def with_structured_output(  # type: ignore[override]  # one method: response_format, checked here
        self, schema: dict[str, Any] | type, *, include_raw: bool = False
    ) -> Runnable[Any, Any]:
        """Return a runnable that answers with an instance of the schema; see `ChatQwen3VL.with_structured_output`.

        The server is asked for `response_format` json_schema; what it returns is validated (InvalidOutput).
        """
        return structured(self, schema, include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, **kwargs, whole=True))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, **kwargs, whole=True))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        # The async call in a thread of its own: a blocked read cannot be cancelled, a task that waits can.
        answer = self._answer(stop, kwargs)
        pieces: SimpleQueue[ChatGenerationChunk | None] = SimpleQueue()

        async def pump() -> None:
            async with aclosing(self._pieces(messages, answer)) as chunks:
                async for piece in chunks:
                    pieces.put(piece)

        with ThreadPoolExecutor(1, "remote-answer") as thread:
            running = thread.submit(asyncio.run, pump())
            running.add_done_callback(lambda _: pieces.put(None))
            try:
                while (piece := pieces.get()) is not None:
                    yield piece
                running.result()
            finally:
                answer.left.set()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async with aclosing(self._pieces(messages, self._answer(stop, kwargs))) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(self, messages: list[BaseMessage], answer: RemoteAnswer) -> AsyncGenerator[ChatGenerationChunk]:
        with self._translated(answer):
            if not answer.check():
                turns = await asyncio.to_thread(openai_messages, messages, self.lossless)  # compresses the pictures
                left_out = self._refused
                while True:
                    asked, options = self._request(turns, answer.call, left_out)
                    try:
                        async with aclosing(super()._astream(asked, **options)) as chunks:  # type: ignore[type-var]
                            while (chunk := await next_chunk(chunks, answer)) is not None:
                                for piece in answer.take(chunk):
                                    yield piece
                    except openai.APIStatusError as error:
                        refused = self._refused_by(error, answer, left_out)
                        if not refused:
                            raise
                        left_out |= refused
                        continue
                    self._refused = left_out
                    wished = self._options(answer.call).get("extra_body", {})
                    answer.left_out = tuple(name for name in SAMPLING if name in left_out and name in wished)
                    break
        for piece in answer.rest():
            yield piece
        self._learn(answer)
        yield answer.last_chunk()

    def _request(
        self, turns: list[BaseMessage], call: Call, left_out: frozenset[str]
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return the messages and options of one try."""
        options = self._options(call)
        options["extra_body"] = {k: v for k, v in options.get("extra_body", {}).items() if k not in left_out}
        options["stream_usage"] = "stream_options" not in left_out
        if call.output_schema is not None and "response_format" in left_out:
            turns = with_schema_in_words(turns, json_schema(call.output_schema))
        return turns, options

    def _refused_by(
        self, error: openai.APIStatusError, answer: RemoteAnswer, left_out: frozenset[str]
    ) -> frozenset[str]:
        """Return what is to be left out of the next try; nothing where another try would be of no use."""
        if answer.started or not self.negotiates:
            return frozenset()
        sent = {*self._options(answer.call).get("extra_body", {}), "stream_options"} - left_out
        return refused_among(sent, error.status_code, error.response.text)

    def _learn(self, answer: RemoteAnswer) -> None:
        """Remember how this model thinks, for the budget and the reading of its next answers."""
        self._thinks = self._thinks or answer.thinks
        if answer.thinks or answer.call.thinks:
            self._thinks_in_text = answer.thinks_in_text

    def _answer(self, stop: list[str] | None, options: dict[str, Any]) -> RemoteAnswer:
        options = dict(options)
        whole = options.pop("whole", False)
        call = parse_call(self._defaults(), stop, options)
        expects = self._thinks if self._thinks_in_text is None else self._thinks_in_text
        return RemoteAnswer(call, self.model_name, expects or whole or call.output_schema is not None)

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        reply = in_one_form(chunk)
        piece = super()._convert_chunk_to_generation_chunk(reply.chunk, default_chunk_class, base_generation_info)
        if piece is not None:
            piece.message.additional_kwargs |= {THINKING_KEY: reply.thought, ARGUMENTS_KEY: reply.arguments}
        return piece

    def _defaults(self) -> dict[str, Any]:
        return {
            "max_new_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "presence_penalty": self.presence_penalty or 0.0,
            "seed": self.seed,
        }

    def _options(self, call: Call) -> dict[str, Any]:
        options: dict[str, Any] = {
            "max_tokens": call.max_new_tokens + (self.thinking_tokens if self._thinks else 0),
            "temperature": call.temperature,
            "top_p": call.top_p,
        }
        if call.stop:
            options["stop"] = list(call.stop)
        if call.seed is not None:
            options["seed"] = call.seed
        if call.presence_penalty:
            options["presence_penalty"] = call.presence_penalty
        if call.top_k:
            options["extra_body"] = {"top_k": call.top_k}
        if call.repetition_penalty != 1:
            options["extra_body"] = {**options.get("extra_body", {}), "repetition_penalty": call.repetition_penalty}
        if call.deadline is not None:
            left = max(call.deadline - time.monotonic(), 0.001)
            options["timeout"] = openai.Timeout(min(left, self.silence_s), connect=min(left, CONNECT_TIMEOUT_S))
        if call.output_schema is not None:
            # In extra_body, because with a response_format of its own langchain-openai leaves the plain stream
            # for one that validates against OpenAI's rules and retries as it likes.
            schema = {
                "name": schema_name(call.output_schema),
                "schema": json_schema(call.output_schema),
                "strict": True,
            }
            form = {"response_format": {"type": "json_schema", "json_schema": schema}}
            options["extra_body"] = {**options.get("extra_body", {}), **form}
        if self._thinks and not call.thinks:
            # The switch of Qwen's, DeepSeek's and GLM's templates, as vLLM, SGLang and llama.cpp take it.
            switch = {"chat_template_kwargs": {"enable_thinking": False}}
            options["extra_body"] = {**options.get("extra_body", {}), **switch}
        return options

    @contextmanager
    def _translated(self, answer: RemoteAnswer) -> Iterator[None]:
        """Turn the client's errors into ours; a silence that lasts to the deadline is the deadline."""
        try:
            yield
        except openai.APITimeoutError as error:
            if not answer.check():
                if any(type(cause).__name__ == "ConnectTimeout" for cause in _causes(error)):
                    raise RemoteUnavailable(self._address, "no connection in time") from error
                raise RemoteTimeout(self._address, self.silence_s) from error
        except openai.APIConnectionError as error:
            if answer.started:
                raise RemoteBrokeOff(self._address) from error
            raise RemoteUnavailable(self._address, _reason(_causes(error)[-1])) from error
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except openai.APIError as error:
            raise RemoteFailed(self._address, self._without_key(error.message)) from error
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError, KeyError) as error:
            # What the client makes of JSON that is no answer: it trusts the server's form.
            raise RemoteUnreadable(self._address) from error
        if not answer.ended:
            raise RemoteBrokeOff(self._address) if answer.started else RemoteUnreadable(self._address)

    def _refusal(self, error: openai.APIStatusError) -> RemoteError:
        status = error.status_code
        if status in (401, 403):
            return RemoteRefused(self._address, status)
        if status == 404:
            return RemoteModelNotFound(self._address, self.model_name)
        if status in (429, 503):
            return RemoteBusy(self._address, status)
        reason = error.message.removeprefix(f"Error code: {status} - ")
        return RemoteFailed(self._address, f"HTTP {status}: {self._without_key(reason)}")

    def _without_key(self, text: str) -> str:
        """Return the server's words without the key, which some servers repeat."""
        key = self.openai_api_key.get_secret_value() if isinstance(self.openai_api_key, SecretStr) else ""
        return text.replace(key, "***") if len(key) > 4 else text


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what lies below it, deepest last."""
    below = error.__cause__ or error.__context__
    return [error, *_causes(below)] if below else [error]


def _reason(error: BaseException) -> str:
    known = isinstance(error, OSError) and error.errno is not None and error.errno > 0  # below 0: of name look-up
    return os.strerror(error.errno) if known else str(error) or type(error).__name__  # type: ignore[attr-defined]


def openai_messages(messages: list[BaseMessage], lossless: bool = False) -> list[BaseMessage]:
    """Return the messages with their pictures as `data:` URLs."""
    kinds: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[turn.role](content=_content(turn, lossless)) for turn in parse_messages(messages)]


def _content(turn: Turn, lossless: bool) -> str | list[str | dict[Any, Any]]:
    if all(isinstance(block, Text) for block in turn.blocks):  # some servers take no list from system or assistant
        return "".join(block.text for block in turn.blocks if isinstance(block, Text))
    content: list[str | dict[Any, Any]] = []
    for block in turn.blocks:
        # A video goes as its frames: no two servers take video in the same form.
        for one in block.as_pictures() if isinstance(block, Video) else [block]:
            if isinstance(one, Text):
                content.append({"type": "text", "text": one.text})
            else:
                address = {"url": to_data_url(one.picture, lossless=lossless)}
                content.append({"type": "image_url", "image_url": address})
    return content

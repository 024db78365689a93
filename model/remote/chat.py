"""A model behind an OpenAI-compatible address (vLLM, SGLang, llama.cpp, Ollama) as the same chat model.

It keeps no queue and retries once at most: the server has its own queue, and who waits wants to know why.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from queue import SimpleQueue
from typing import Any
from urllib.parse import SplitResult, urlsplit

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from model.call_options import (
    POLL_S,
    Call,
    Cancelled,
    DeadlineExceeded,
    json_schema,
    metadata,
    parse_call,
    schema_name,
    structured,
    usage,
)
from model.messages import Image, Text, Turn, parse_messages
from model.pictures.open import to_data_url
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
from model.settings import ModelSettings

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
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=settings.seed,
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
    """

    # BaseChatOpenAI, not ChatOpenAI: that one renames max_tokens to max_completion_tokens, which older servers ignore.

    silence_s: float
    """Longest wait for the next piece, in seconds."""
    lossless: bool = False
    """Whether large pictures, too, are sent as they are, not as JPEG."""
    max_retries: int | None = MAX_RETRIES
    stream_usage: bool | None = True
    use_responses_api: bool | None = False
    stream_chunk_timeout: float | None = None

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
        return generate_from_stream(self._stream(messages, stop, **kwargs))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, **kwargs))

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

    async def _pieces(self, messages: list[BaseMessage], answer: "_Answer") -> AsyncGenerator[ChatGenerationChunk]:
        with self._translated(answer):
            if not answer.check():
                turns = await asyncio.to_thread(openai_messages, messages, self.lossless)  # compresses the pictures
                source = super()._astream(turns, **self._options(answer.call))
                async with aclosing(source) as chunks:  # type: ignore[type-var]
                    while (chunk := await _next(chunks, answer)) is not None:
                        if piece := answer.take(chunk):
                            yield piece
        yield answer.last_chunk()

    def _answer(self, stop: list[str] | None, options: dict[str, Any]) -> "_Answer":
        return _Answer(parse_call(self._defaults(), stop, options), self.model_name)

    def _defaults(self) -> dict[str, Any]:
        return {
            "max_new_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
        }

    def _options(self, call: Call) -> dict[str, Any]:
        options: dict[str, Any] = {
            "max_tokens": call.max_new_tokens,
            "temperature": call.temperature,
            "top_p": call.top_p,
        }
        if call.stop:
            options["stop"] = list(call.stop)
        if call.seed is not None:
            options["seed"] = call.seed
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
            options["extra_body"] = {"response_format": {"type": "json_schema", "json_schema": schema}}
        return options

    @contextmanager
    def _translated(self, answer: "_Answer") -> Iterator[None]:
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
        if not answer.finish_reason:
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


class _Answer:
    """What has come of one answer."""

    def __init__(self, call: Call, model_name: str) -> None:
        self.call = call
        self.left = threading.Event()
        self._model_name = model_name
        self._began = time.monotonic()
        self._usage = usage(0, 0)
        self.started = False
        self.finish_reason = ""

    def take(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk | None:
        """Return the chunk's text as a chunk, and keep what else it says."""
        self.started = True
        message = chunk.message
        if isinstance(message, AIMessageChunk) and message.usage_metadata:
            given = message.usage_metadata
            cached = given.get("input_token_details", {}).get("cache_read", 0)
            self._usage = usage(given["input_tokens"], given["output_tokens"], cached)
        self.finish_reason = (chunk.generation_info or {}).get("finish_reason") or self.finish_reason
        return ChatGenerationChunk(message=AIMessageChunk(content=chunk.text)) if chunk.text else None

    def check(self) -> bool:
        """Return whether the answer ends here; raise where nothing is left of it."""
        if self.left.is_set() or (self.call.cancel is not None and self.call.cancel.is_set()):
            raise Cancelled
        if self.finish_reason or not self.call.is_over():
            return False
        self.finish_reason = "deadline"
        if self.call.output_schema is not None:
            raise DeadlineExceeded(schema_name(self.call.output_schema), time.monotonic() - self._began)
        return True

    def last_chunk(self) -> ChatGenerationChunk:
        """Return the chunk that closes the answer."""
        seconds = time.monotonic() - self._began
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=self._usage,
                response_metadata=metadata(self.finish_reason, seconds, self._model_name),
                chunk_position="last",
            )
        )


async def _next(chunks: AsyncIterator[ChatGenerationChunk], answer: _Answer) -> ChatGenerationChunk | None:
    """Return the next chunk; None at the end or the deadline. A cancelled call does not wait for it."""
    task: asyncio.Future[ChatGenerationChunk | None] = asyncio.ensure_future(anext(chunks, None))
    try:
        while not (await asyncio.wait([task], timeout=POLL_S))[0]:
            if answer.check():
                return None
        return None if answer.check() else task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])  # the generator must be at rest before it is closed


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
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
            continue
        # A video goes as its frames: no two servers take video in the same form.
        pictures = [block.picture] if isinstance(block, Image) else block.frames
        content += [
            {"type": "image_url", "image_url": {"url": to_data_url(picture, lossless=lossless)}} for picture in pictures
        ]
    return content

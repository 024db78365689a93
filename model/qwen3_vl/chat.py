"""The local Qwen3-VL as a LangChain chat model.

It keeps the order of the questions and speaks LangChain; what a single answer takes is in
`model/qwen3_vl/generation.py`, which brings torch and is imported with the first question.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import get_config_list
from pydantic import Field, PrivateAttr

from model.call_options import (
    POLL_S,
    Call,
    Cancellation,
    Cancelled,
    DeadlineExceeded,
    Generated,
    json_schema,
    metadata,
    parse_call,
    schema_name,
    structured,
    usage,
)
from model.messages import parse_messages
from model.served import ServedModel
from model.settings import SAMPLING
from model.thinking import THINKING_KEY
from model.worker import Worker

if TYPE_CHECKING:
    from model.qwen3_vl.grammar import Grammars
    from model.qwen3_vl.prefill import PrefixReader


class ChatQwen3VL(ServedModel, BaseChatModel):
    """Answers one question at a time; the others wait in a bounded queue.

    Only one instance may use a `Loaded`: the model keeps state between the steps of an answer. Calls take
    `stop`, `max_new_tokens`, `temperature`, `top_p`, `seed`, `cancel` (a threading.Event), `deadline`
    (time.monotonic()) and `on_queue` beside the messages.

    Every call raises ModelError's children: Cancelled, ModelBusy, PromptTooLong, OutOfMemory, UnsupportedContent,
    InvalidCall; a structured one also DeadlineExceeded, UnsupportedSchema and InvalidOutput.
    """

    loaded: Any = Field(exclude=True, repr=False)
    """`model.qwen3_vl.load.Loaded`; Any, so that this module does not import torch."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Longest answer, in tokens."""
    thinking_tokens: int = Field(default=2048, ge=0)
    """What a thinking model may write before its answer; it is in `additional_kwargs["reasoning_content"]`."""
    temperature: float = Field(default=0.0, ge=0)
    """0 means greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling, where temperature is above 0."""
    top_k: int = Field(default=0, ge=0)
    """Draw from so many tokens, where temperature is above 0; 0 is all."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Of tokens that were there; 1 is none."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    """Of tokens that the answer has already; 0 is none."""
    seed: int | None = None
    """Of the sampling; none means another answer each time."""
    max_pixels: int | None = None
    """Pixel budget of a picture; none means the model's own."""
    queue_size: int = Field(default=8, ge=1)
    """Questions that may wait."""
    prefix_cache_mib: int = Field(default=512, ge=0)
    """Memory for what was read of earlier prompts and pictures; 0 reads everything anew."""

    gives_probabilities: ClassVar[bool] = True
    swaps_adapters: ClassVar[bool] = True

    speed: Any = Field(default=None, exclude=True, repr=False)
    """`model.qwen3_vl.reading_speed.ReadingSpeed` of the model; none where nobody asks how large pictures may be."""

    _worker: Worker = PrivateAttr()
    _grammars: "Grammars | None" = PrivateAttr(default=None)
    _reader: "PrefixReader | None" = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Make the queue; its thread starts with the first question."""
        super().model_post_init(context)
        self._worker = Worker(self.queue_size)

    @property
    def _llm_type(self) -> str:
        return "qwen3-vl"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model_name": self.loaded.name,
            "adapter": self.loaded.adapter,
            "quantization": self.loaded.quantization,
            "max_pixels": self.max_pixels,
            **self._defaults(),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "lorgnette"
        params["ls_model_name"] = self.loaded.name
        params["ls_max_tokens"] = kwargs.get("max_new_tokens") or self.max_new_tokens
        return params

    def looking_pixels(self, seconds: float, pictures: int) -> int | None:
        """Return how many pixels each of so many pictures may have so that looking takes at most `seconds`."""
        pixels: int | None = None if self.speed is None else self.speed.pixels(seconds, pictures)
        return pixels

    @property
    def waiting(self) -> int:
        """How many questions wait behind the one that is being answered."""
        return self._worker.waiting

    def close(self) -> None:
        """Cancel what waits and take no more questions."""
        self._worker.close()

    def swap_adapter(self, folder: Path | None) -> None:
        """Change the adapter, or take it off, behind the questions that wait; `loaded` then says which it is.

        Raises:
            AdapterError: It does not fit; the one of before is in use.
            ModelBusy, WorkerClosed: As every call.
        """
        self._worker.submit(lambda: self._swap_adapter(folder)).result()

    def get_token_ids(self, text: str) -> list[int]:
        """Return the text's tokens by the model's own tokenizer."""
        return cast("list[int]", self.loaded.processor.tokenizer(text)["input_ids"])

    def with_structured_output(  # type: ignore[override]  # no tools and no "method": the grammar is the method
        self, schema: dict[str, Any] | type, *, include_raw: bool = False
    ) -> Runnable[Any, Any]:
        """Return a runnable that always answers with an instance of the schema, by constrained decoding.

        Args:
            schema: A pydantic class, or a JSON schema for a dict. Strings and lists without a length get one, and
                where `max_new_tokens` comes near, they are closed early; the least that the schema needs is granted.
            include_raw: Answer {"raw": AIMessage, "parsed": instance, "parsing_error": None} instead.

        Raises:
            UnsupportedSchema: It refers to itself or leaves a part open; known before the first call.
        """
        from model.qwen3_vl.bounded_schema import bounded

        bounded(json_schema(schema), schema_name(schema))
        return structured(self, schema, include_raw=include_raw)

    def choice_probabilities(
        self, messages: list[BaseMessage], words: Sequence[str], *, cancel: threading.Event | None = None
    ) -> list[float]:
        """Return how likely each of the words begins the answer, among them alone; raises as every call."""
        from model.qwen3_vl.choice_probabilities import choice_probabilities

        cancellation = Cancellation(cancel)
        if cancellation.is_set():
            raise Cancelled
        future = self._worker.submit(
            lambda: choice_probabilities(
                self.loaded, parse_messages(messages), words,
                reader=self._get_reader(), cancellation=cancellation, max_pixels=self.max_pixels,
            )
        )  # fmt: skip
        while not future.done():
            wait([future], POLL_S)
            if cancellation.is_set():
                future.cancel()
        if future.cancelled():
            raise Cancelled
        return future.result()

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer one after the other, so that a long batch never fills the queue."""
        return super().batch(inputs, _in_turn(config, len(inputs)), return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer one after the other, so that a long batch never fills the queue."""
        configs = _in_turn(config, len(inputs))
        return await super().abatch(inputs, configs, return_exceptions=return_exceptions, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._started(messages, stop, kwargs, lambda piece: None) as question:
            while not question.future.done():
                wait([question.future], POLL_S)
                question.look()
            return self._result(question.answer())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._started(messages, stop, kwargs, lambda piece: None) as question:
            done = asyncio.wrap_future(question.future)
            while not done.done():
                await asyncio.wait([done], timeout=POLL_S)
                question.look()
            return self._result(question.answer())

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        pieces: SimpleQueue[str | None] = SimpleQueue()
        with self._started(messages, stop, kwargs, pieces.put) as question:
            question.future.add_done_callback(lambda _: pieces.put(None))
            while True:
                try:
                    piece = pieces.get(timeout=POLL_S)
                except Empty:
                    question.look()
                    continue
                if piece is None:
                    break
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            yield self._last_chunk(question.answer())

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def put(piece: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody reads any more
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        with self._started(messages, stop, kwargs, put) as question:
            question.future.add_done_callback(lambda _: put(None))
            while True:
                try:
                    piece = await asyncio.wait_for(pieces.get(), POLL_S)
                except TimeoutError:
                    question.look()
                    continue
                if piece is None:
                    break
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            yield self._last_chunk(question.answer())

    @contextlib.contextmanager
    def _started(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        emit: Callable[[str], None],
    ) -> "Iterator[_Question]":
        """Queue the question; whoever leaves early, by an exception too, frees the worker."""
        call = parse_call(self._defaults(), stop, options)
        cancellation = Cancellation(call.cancel)
        if cancellation.is_set():
            raise Cancelled
        future = self._worker.submit(lambda: self._answer(messages, call, cancellation, emit))
        try:
            yield _Question(future, cancellation, call, lambda: self._worker.position(future))
        finally:
            cancellation.set()
            future.cancel()

    def _answer(
        self, messages: Sequence[BaseMessage], call: Call, cancellation: Cancellation, emit: Callable[[str], None]
    ) -> Generated:
        from model.qwen3_vl.generation import GenerationRequest, generate

        return generate(
            GenerationRequest(
                self.loaded,
                parse_messages(messages),
                call,
                reader=self._get_reader(),
                grammars=self._get_grammars,
                cancellation=cancellation,
                emit=emit,
                max_pixels=self.max_pixels,
                thinking_tokens=self.thinking_tokens,
            )
        )

    def _swap_adapter(self, folder: Path | None) -> None:
        from model.qwen3_vl.adapter_swap import swap_adapter

        self.loaded, problem = swap_adapter(self.loaded, folder)
        if problem is not None:
            raise problem

    def _get_reader(self) -> "PrefixReader":
        # Only the worker's thread comes here.
        if self._reader is None:
            from model.qwen3_vl.load import base_model
            from model.qwen3_vl.prefill import PrefixReader

            self._reader = PrefixReader(base_model(self.loaded.model), self.prefix_cache_mib * 2**20, self.speed)
        return self._reader

    def _get_grammars(self) -> "Grammars":
        # Only the worker's thread comes here.
        if self._grammars is None:
            from model.qwen3_vl.grammar import Grammars

            eos = self.loaded.model.generation_config.eos_token_id
            self._grammars = Grammars(self.loaded.processor.tokenizer, eos if isinstance(eos, list) else [eos])
        return self._grammars

    def _defaults(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("max_new_tokens", *SAMPLING)}

    def _result(self, answer: Generated) -> ChatResult:
        message = AIMessage(
            content=answer.text,
            additional_kwargs=_thinking(answer),
            usage_metadata=usage(answer.input_tokens, answer.output_tokens, answer.cached_tokens),
            response_metadata=metadata(answer.finish_reason, answer.seconds, self.loaded.name, answer.probability),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _last_chunk(self, answer: Generated) -> ChatGenerationChunk:
        message = AIMessageChunk(
            content="",
            additional_kwargs=_thinking(answer),
            usage_metadata=usage(answer.input_tokens, answer.output_tokens, answer.cached_tokens),
            response_metadata=metadata(answer.finish_reason, answer.seconds, self.loaded.name, answer.probability),
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message)


@dataclass
class _Question:
    """A question on its way through the queue."""

    future: Future[Generated]
    cancellation: Cancellation
    call: Call
    position: Callable[[], int | None]
    told: int = 0
    """The position that the caller knows of."""

    def look(self) -> None:
        """Take it out of the queue where nobody wants it any more, else tell how far it is; it ends by itself."""
        if self.cancellation.is_set() or self.call.is_over():
            self.future.cancel()
        elif self.call.on_queue is not None:
            position = self.position() or 0
            if position != self.told:
                self.told = position
                self.call.on_queue(position)

    def answer(self) -> Generated:
        """Return the answer of a future that is done."""
        if not self.future.cancelled():
            return self.future.result()
        if self.cancellation.is_set() or not self.call.is_over():
            raise Cancelled
        if self.call.output_schema is not None:
            raise DeadlineExceeded(schema_name(self.call.output_schema), 0.0)
        return Generated("", "deadline", 0, 0, 0.0)


def _thinking(answer: Generated) -> dict[str, Any]:
    return {THINKING_KEY: answer.thought} if answer.thought else {}


def _in_turn(config: RunnableConfig | list[RunnableConfig] | None, count: int) -> list[RunnableConfig]:
    return [{**one, "max_concurrency": 1} for one in get_config_list(config, count)]

"""One answer of a server while it comes: text and thinking apart, why it ended, what it cost. It sends nothing."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from model.call_options import POLL_S, PROBABILITY_KEY, Call, Cancelled, DeadlineExceeded, metadata, schema_name, usage
from model.remote.reply import ARGUMENTS_KEY, end_of
from model.thinking import THINKING_KEY, WITHDRAWN_KEY, Piece, ThinkingSplitter


class RemoteAnswer:
    """What has come of one answer."""

    def __init__(self, call: Call, model_name: str, expects_thinking: bool) -> None:
        """Begin; where thinking is expected, text that may be thinking without an opening tag is held back."""
        self.call = call
        self.left = threading.Event()
        """Set when nobody reads the answer any more."""
        self.started = False
        """Whether anything came."""
        self.thinks = False
        """Whether the model thought."""
        self.finish_reason = ""
        self.left_out: tuple[str, ...] = ()
        """Sampling options that the server refused, and that the user had set."""
        self._splitter = ThinkingSplitter(expects=expects_thinking)
        self._model_name = model_name
        self._began = time.monotonic()
        self._usage = usage(0, 0)
        self._said = False
        self._arguments = ""
        self._probability: float | None = None

    @property
    def thinks_in_text(self) -> bool:
        """Whether the model thought in its text without an opening tag."""
        return self._splitter.thinks and not self._splitter.opened

    @property
    def ended(self) -> bool:
        """Whether the server said all; some give no reason for the end, and then their bill or the text must do."""
        return bool(self.finish_reason or self._arguments) or self._said or self._splitter.holds_text

    def take(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """Yield the chunk's text and thinking, and keep what else it says."""
        self.started = True
        message = chunk.message
        if isinstance(message, AIMessageChunk) and message.usage_metadata:
            given = message.usage_metadata
            cached = given.get("input_token_details", {}).get("cache_read", 0)
            self._usage = usage(given["input_tokens"], given["output_tokens"], cached)
        self.finish_reason = end_of((chunk.generation_info or {}).get("finish_reason") or "") or self.finish_reason
        thought = message.additional_kwargs.get(THINKING_KEY, "")
        if thought:
            self._splitter.expects = False  # this server tells thinking apart by itself
            yield from self._pieces(Piece(thought=thought))
        self._probability = message.additional_kwargs.get(PROBABILITY_KEY, self._probability)
        self._arguments += message.additional_kwargs.get(ARGUMENTS_KEY, "")
        yield from self._pieces(self._splitter.feed(chunk.text))

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """Yield what was held back, and the arguments of a call where there is no text."""
        yield from self._pieces(self._splitter.finish())
        if not self._said and self._arguments:
            yield from self._pieces(Piece(said=self._arguments))

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
        reason = self.finish_reason or ("stop" if self._usage["total_tokens"] else "unknown")
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=self._usage,
                response_metadata=metadata(reason, seconds, self._model_name, self._probability, self.left_out),
                chunk_position="last",
            )
        )

    def _pieces(self, piece: Piece) -> Iterator[ChatGenerationChunk]:
        if self._splitter.withdrawn:
            self._splitter.withdrawn = False
            yield ChatGenerationChunk(message=AIMessageChunk(content="", additional_kwargs={WITHDRAWN_KEY: True}))
        self.thinks = self.thinks or bool(piece.thought.strip())
        self._said = self._said or bool(piece.said.strip())
        if piece.thought:
            yield ChatGenerationChunk(
                message=AIMessageChunk(content="", additional_kwargs={THINKING_KEY: piece.thought})
            )
        if piece.said:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece.said))


async def next_chunk(chunks: AsyncIterator[ChatGenerationChunk], answer: RemoteAnswer) -> ChatGenerationChunk | None:
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

"""One answer of a model in OpenVINO: prompt in, text out piece by piece, ended by whoever may end it.

It runs in the caller's thread. The engine computes and samples; thinking, stop strings, the end in time and what is
counted are decided here. A model that thinks is asked twice: for its thoughts, and behind them, closed, for the answer,
for which the engine's cache makes up; so a grammar rules the answer alone, and thinking ends in time.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model.call_options import Call, Cancellation, Cancelled, DeadlineExceeded, Generated, json_schema, schema_name
from model.messages import Turn
from model.openvino.engine import MemoryFull, Token, WritingOptions
from model.openvino.errors import PromptTooLong
from model.openvino.grammar import json_grammar
from model.openvino.prompt import pictures_of
from model.qwen3_vl.token_stream import TextFollower

if TYPE_CHECKING:
    from model.openvino.load import LoadedIR
    from model.openvino.read_before import ReadBefore

OPEN, CLOSE = "<think>", "</think>"
DECISION_SHARE = 4
"""A decision's part of the thinking budget is one of so many."""


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation to be answered, the model that answers it, and who waits for the answer."""

    loaded: "LoadedIR"
    turns: Sequence[Turn]
    """The conversation."""
    call: Call
    """How to answer."""
    read_before: "ReadBefore"
    """Of this model."""
    cancellation: Cancellation
    """Looked at after every step of the engine."""
    emit: Callable[[str], None]
    """Called with the text as it is written; the pieces together are the answer."""
    max_pixels: int | None
    """Pixel budget of a picture."""
    thinking_tokens: int = 0
    """What a thinking model may write before its answer."""


@dataclass
class _Written:
    """What has come of an answer."""

    pieces: list[str] = field(default_factory=list)
    thought: str = ""
    tokens: int = 0
    log_probability: float = 0.0
    finish_reason: str = ""


def generate(request: GenerationRequest) -> Generated:
    """Answer the conversation.

    Raises:
        Cancelled: By `cancellation`.
        DeadlineExceeded: The deadline passed before a structured answer was complete.
        PromptTooLong: It does not fit the window or the memory.
        UnsupportedSchema: Before anything is computed.
        EngineBroken: OpenVINO gave up.
    """
    started = time.monotonic()
    return _Answer(request).write(started)


class _Answer:
    """One answer on its way."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        loaded, call = request.loaded, request.call
        schema = call.output_schema
        self._grammar = None if schema is None else json_grammar(json_schema(schema), schema_name(schema))
        sizes = loaded.picture_sizes(request.max_pixels)
        self._pictures = [sizes.pixels(picture.image) for picture in pictures_of(request.turns)]
        self._prompt = loaded.template.render(request.turns, thinks=call.thinks)
        self._ids = loaded.prompt_ids(self._prompt, self._pictures)
        self._written = _Written()

    def write(self, started: float) -> Generated:
        """Write it."""
        request, call, written = self._request, self._request.call, self._written
        engine = request.loaded.engine
        limit = min(engine.capacity, request.loaded.ir.window) - call.max_new_tokens
        if len(self._ids) > limit:
            raise PromptTooLong(len(self._ids), limit, call.max_new_tokens)
        if request.cancellation.is_set():
            raise Cancelled
        cached = request.read_before.count(self._ids)
        try:
            self._think_and_say(max(limit - len(self._ids), 0))
        except MemoryFull as error:
            raise PromptTooLong(len(self._ids), limit, call.max_new_tokens) from error
        seconds = time.monotonic() - started
        if written.finish_reason == "cancelled":
            raise Cancelled
        if written.finish_reason == "deadline" and self._grammar is not None:
            raise DeadlineExceeded(schema_name(call.output_schema), seconds)
        return Generated(
            "".join(written.pieces), written.finish_reason, len(self._ids), written.tokens, seconds, cached,
            written.thought.strip(), None if self._grammar is not None else math.exp(written.log_probability),
        )  # fmt: skip

    def _think_and_say(self, room: int) -> None:
        """Write the answer, behind thoughts where the template or the model opens them."""
        request, prompt = self._request, self._prompt
        # A template without a switch has the model think before a decision too; shortly then.
        budget = request.thinking_tokens if request.call.thinks else request.thinking_tokens // DECISION_SHARE
        if not prompt.rstrip().endswith(OPEN):
            if self._say(prompt, may_open=self._grammar is None):
                return
            prompt += f"{OPEN}\n"
        self._think(prompt, min(budget, room))
        if not self._written.finish_reason:
            self._say(f"{prompt}{self._written.thought.strip()}\n{CLOSE}\n\n")

    def _think(self, prompt: str, budget: int) -> None:
        """Let the model think until it closes that, would end, or has used up the budget."""
        follower = self._follower((CLOSE,))

        def take(token: Token) -> str:
            if token.id in self._request.loaded.eos_token_ids:
                return CLOSE
            self._written.thought += follower.feed(token.id)
            return CLOSE if follower.stopped else ""

        if budget:
            ended = self._follow(prompt, budget, None, take)
            self._written.finish_reason = ended if ended in ("cancelled", "deadline") else ""

    def _say(self, prompt: str, *, may_open: bool = False) -> bool:
        """Write the answer; False where the model opened its thoughts in place of one, and only if it may."""
        follower = self._follower(self._request.call.stop)
        pieces = self._written.pieces

        def take(token: Token) -> str:
            if may_open and not pieces and self._request.loaded.text_of(token.id).strip() == OPEN:
                return OPEN
            self._written.log_probability += token.log_probability
            if token.id in self._request.loaded.eos_token_ids:
                return "stop"
            self._give(follower.feed(token.id))
            return "stop" if follower.stopped else ""

        ended = self._follow(prompt, self._request.call.max_new_tokens, self._grammar, take)
        if ended == OPEN:
            return False
        if not follower.stopped:
            self._give(follower.finish())
        self._written.finish_reason = ended
        return True

    def _follow(self, prompt: str, max_new_tokens: int, grammar: str | None, take: Callable[[Token], str]) -> str:
        """Let the engine write and `take` have each token, until one of them ends it; return why it ended."""
        request = self._request
        new: list[int] = []
        stream = request.loaded.engine.write(prompt, self._pictures, self._options(max_new_tokens, grammar))
        with closing(stream):
            for token in stream:
                if token is not None:
                    new.append(token.id)
                    if ended := take(token):
                        break
                if ended := self._look():
                    break
            else:
                ended = "length" if len(new) >= max_new_tokens else "stop"
        self._written.tokens += len(new)
        request.read_before.keep([*request.loaded.prompt_ids(prompt, self._pictures), *new[:-1]])
        return ended

    def _look(self) -> str:
        if self._request.cancellation.is_set():
            return "cancelled"
        return "deadline" if self._request.call.is_over() else ""

    def _give(self, piece: str) -> None:
        if self._written.thought and not self._written.pieces:
            piece = piece.lstrip()
        if piece:
            self._written.pieces.append(piece)
            self._request.emit(piece)

    def _follower(self, stop: Sequence[str]) -> TextFollower:
        follower: Any = self._request.loaded.vocabulary
        return TextFollower(follower, stop)

    def _options(self, max_new_tokens: int, grammar: str | None) -> WritingOptions:
        call = self._request.call
        return WritingOptions(
            max_new_tokens, self._request.loaded.eos_token_ids, grammar, call.temperature, call.top_p, call.top_k,
            call.repetition_penalty, call.presence_penalty,
            random.randrange(2**31) if call.seed is None else call.seed % 2**31,
        )  # fmt: skip

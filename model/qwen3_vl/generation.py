"""One answer of the local Qwen3-VL: prompt in, text out piece by piece, ended by whoever may end it.

It runs in the caller's thread and must not run twice at a time on one model, whose `rope_deltas` are state.
The loop is transformers' own `generate`; queueing and LangChain's classes are in `model/qwen3_vl/chat.py`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from model.adapters.node_adapters import active_adapter, invoked_at
from model.call_options import Call, Cancellation, Cancelled, DeadlineExceeded, Generated, json_schema, schema_name
from model.errors import ModelError
from model.messages import Turn, for_processor
from model.qwen3_vl.confidence import Confidence
from model.qwen3_vl.interruptible import interruptible
from model.qwen3_vl.load import ALWAYS, base_model
from model.qwen3_vl.prefill import UNSHARED
from model.qwen3_vl.processor import encode
from model.qwen3_vl.sampler import sampler_for
from model.qwen3_vl.thoughts import Thoughts
from model.qwen3_vl.token_stream import TextFollower

if TYPE_CHECKING:
    from model.qwen3_vl.grammar import Grammars, JsonConstraint
    from model.qwen3_vl.load import Loaded
    from model.qwen3_vl.prefill import PrefixReader

DECISION_SHARE = 4
"""A decision's part of the thinking budget is one of so many."""
CLOSING_TOKENS = 16
"""Room for the tag that ends the thinking."""


class PromptTooLong(ModelError):
    """Prompt and answer do not fit the model's window."""

    def __init__(self, prompt_tokens: int, limit: int, max_new_tokens: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and at most {limit} fit beside an answer of {max_new_tokens}; "
            "give fewer or smaller pictures, less text, a lower max_pixels or a lower max_new_tokens."
        )
        self.prompt_tokens = prompt_tokens
        self.limit = limit


class OutOfMemory(ModelError):
    """The answer did not fit into memory."""

    def __init__(self, device: str, max_pixels: int | None) -> None:
        super().__init__(
            f"The memory of {device!r} ran out while answering with max_pixels {max_pixels!r}; "
            "set a lower max_pixels, quantization nf4 or a smaller model."
        )
        self.device = device
        self.max_pixels = max_pixels


@dataclass(frozen=True)
class GenerationRequest:
    """A conversation to be answered, the model that answers it, and who waits for the answer."""

    loaded: "Loaded"
    turns: Sequence[Turn]
    """The conversation."""
    call: Call
    """How to answer."""
    reader: "PrefixReader"
    """Of this model; remembers what it reads."""
    grammars: Callable[[], "Grammars"]
    """Called if the call has a schema."""
    cancellation: Cancellation
    """Looked at after every token, and within every layer while the prompt is read."""
    emit: Callable[[str], None]
    """Called with the text as it is written; the pieces together are the answer."""
    max_pixels: int | None
    """Pixel budget of a picture."""
    thinking_tokens: int = 0
    """What a thinking model may write before its answer."""


def generate(request: GenerationRequest) -> Generated:
    """Answer the conversation.

    Raises:
        Cancelled: By `cancellation`.
        DeadlineExceeded: The deadline passed before a structured answer was complete.
        PromptTooLong: Before anything is computed.
        OutOfMemory: While computing.
    """
    try:
        return _generate(request)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError; the CPU's is a bare one
        if not _is_out_of_memory(error):
            raise
        device = request.loaded.device
        if device.type == "cuda":
            torch.cuda.empty_cache()
        raise OutOfMemory(str(device), request.max_pixels) from error


def _generate(request: GenerationRequest) -> Generated:
    started = time.monotonic()
    loaded, call, reader = request.loaded, request.call, request.reader
    base = base_model(loaded.model)
    eos = base.generation_config.eos_token_id
    eos_token_ids = frozenset(eos if isinstance(eos, list) else [eos])
    sampler = sampler_for(call, loaded.device)
    constraint = None
    if call.output_schema is not None:
        constraint = request.grammars().constraint(
            json_schema(call.output_schema), schema_name(call.output_schema), call.max_new_tokens,
            sampler and sampler.noisy,
        )  # fmt: skip
    max_new_tokens = constraint.max_new_tokens if constraint else call.max_new_tokens
    if request.cancellation.is_set():
        raise Cancelled
    turns = [for_processor(turn) for turn in request.turns]
    inputs = encode(loaded.processor, turns, max_pixels=request.max_pixels, thinks=call.thinks).to(loaded.device)
    prompt_tokens = inputs["input_ids"].shape[1]
    if sampler is not None:
        sampler.prompt_tokens = prompt_tokens
    # A template without a switch has the model think before a decision too; shortly then.
    thinking_tokens = request.thinking_tokens if call.thinks else request.thinking_tokens // DECISION_SHARE
    thoughts = Thoughts(
        loaded.processor.tokenizer, inputs["input_ids"][0], thinking_tokens, may_open=constraint is None
    )
    confidence = Confidence()
    watch = _Watch(request, eos_token_ids, constraint, max_new_tokens, thoughts, confidence)
    limit = base.config.get_text_config().max_position_embeddings - max_new_tokens
    if prompt_tokens > limit:
        raise PromptTooLong(prompt_tokens, limit, max_new_tokens)
    thoughts.limit(max(limit - prompt_tokens - CLOSING_TOKENS, 0))
    watch.seen = prompt_tokens
    bare = not call.adapter and loaded.adapter is not None and loaded.own_base
    node_adapter = call.node_adapter or (ALWAYS if loaded.invocation and not bare else None)
    until = _invocation(loaded, node_adapter, inputs) if node_adapter is not None else None
    family = None if bare else UNSHARED if loaded.mixes_tokens else loaded.family
    sight = None if bare else loaded.sight
    last = _AfterThinking(thoughts, constraint or sampler, sampler, eos_token_ids, confidence)
    read = None
    try:
        with interruptible(base, watch.interrupt), loaded.model.disable_adapter() if bare else nullcontext():
            with active_adapter(loaded.model, None, loaded.invocations):
                read = reader.read(inputs, family, until, sight)
            with active_adapter(loaded.model, node_adapter, loaded.invocations):
                loaded.model.generate(
                    input_ids=inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    past_key_values=read.cache,
                    generation_config=_config(
                        max_new_tokens + thoughts.reserve, eos_token_ids, base.generation_config.pad_token_id
                    ),
                    logits_processor=LogitsProcessorList([last]),
                    stopping_criteria=StoppingCriteriaList([watch]),
                )
    except _Interrupted:
        pass
    if read is not None:
        reader.keep(read, watch.tokens, family, until)
    seconds = time.monotonic() - started
    if watch.finish_reason == "cancelled":
        raise Cancelled
    if watch.finish_reason == "deadline" and constraint:
        raise DeadlineExceeded(schema_name(call.output_schema), seconds)
    watch.finish()
    return Generated(
        "".join(watch.pieces), watch.finish_reason, prompt_tokens, len(watch.tokens), seconds,
        read.cached_tokens if read is not None else 0, thoughts.thought,
        None if constraint is not None else confidence.probability,
    )  # fmt: skip


class _Interrupted(Exception):
    """Leaves `generate` from inside a layer; never leaves this module."""


class _Watch(StoppingCriteria):
    """Reads each token as it comes, gives its text out and decides whether it was the last."""

    def __init__(
        self,
        request: GenerationRequest,
        eos_token_ids: frozenset[int],
        constraint: "JsonConstraint | None",
        max_new_tokens: int,
        thoughts: Thoughts,
        confidence: Confidence,
    ) -> None:
        self._thoughts, self._confidence = thoughts, confidence
        self._text = TextFollower(request.loaded.processor.tokenizer, request.call.stop)
        self._request = request
        self._eos_token_ids = eos_token_ids
        self._constraint = constraint
        self._max_new_tokens = max_new_tokens
        self.seen = 0
        self.tokens: list[int] = []
        self.pieces: list[str] = []
        self.finish_reason = ""

    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        for token in input_ids[0, self.seen :].tolist():
            if not self.finish_reason:  # on MPS the loop runs one token too far
                self._take(token)
        self.seen = input_ids.shape[1]
        return torch.full((1,), bool(self.finish_reason), dtype=torch.bool, device=input_ids.device)

    def interrupt(self) -> None:
        """Stop the forward pass that is running if the answer is no longer wanted."""
        if self._request.cancellation.is_set():
            self.finish_reason = "cancelled"
        elif self._request.call.is_over():
            self.finish_reason = "deadline"
        else:
            return
        raise _Interrupted

    def finish(self) -> None:
        """Emit the text that waited for a stop string."""
        if not self._text.stopped:
            self._give(self._text.finish())

    def _take(self, token: int) -> None:
        self.tokens.append(token)
        if self._thoughts.takes(token):
            if token in self._eos_token_ids:  # it ended without an answer
                self.finish_reason = "stop"
            else:
                self._look()
            return
        self._confidence.take(token)
        if self._constraint is not None:
            self._constraint.consume(token)
        if token in self._eos_token_ids:
            self.finish_reason = "stop"
            return
        self._give(self._text.feed(token))
        if self._text.stopped or (self._constraint is not None and self._constraint.is_complete):
            self.finish_reason = "stop"
        else:
            self._look()

    def _look(self) -> None:
        if self._request.cancellation.is_set():
            self.finish_reason = "cancelled"
        elif len(self.tokens) - self._thoughts.written >= self._max_new_tokens:
            self.finish_reason = "length"
        elif self._request.call.is_over():
            self.finish_reason = "deadline"

    def _give(self, piece: str) -> None:
        if self._thoughts.written and not self.pieces:  # the template's line ends between thinking and answer
            piece = piece.lstrip()
        if piece:
            self.pieces.append(piece)
            self._request.emit(piece)


class _AfterThinking(LogitsProcessor):
    """Lets the model think freely, closes that in time, and then lets the grammar or the sampler rule."""

    def __init__(
        self,
        thoughts: Thoughts,
        rule: LogitsProcessor | None,
        thinking: LogitsProcessor | None,
        eos_token_ids: frozenset[int],
        confidence: Confidence,
    ) -> None:
        self._thoughts, self._rule, self._thinking, self._eos_token_ids = thoughts, rule, thinking, eos_token_ids
        self._confidence = confidence

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._thoughts.is_open and int(scores.argmax()) in self._eos_token_ids:
            self._thoughts.limit(0)  # it would end without an answer
        forced = self._thoughts.forced()
        if forced is not None:
            only = torch.full_like(scores, -torch.inf)
            only[:, forced] = 0.0
            return only
        rule = self._thinking if self._thoughts.is_open else self._rule
        if not self._thoughts.is_open:
            self._confidence.offer(scores)
        return scores if rule is None else rule(input_ids, scores)


def _invocation(loaded: "Loaded", node_adapter: str, inputs: Any) -> int:
    """Return the token from which an adapter works: what stands before is the base model's to read."""
    pictures = inputs["mm_token_type_ids"][0].nonzero()
    behind = int(pictures[-1]) + 1 if len(pictures) else 0
    return invoked_at(node_adapter, loaded.invocations[node_adapter], inputs["input_ids"][0].tolist(), behind)


def _config(max_new_tokens: int, eos_token_ids: frozenset[int], pad_token_id: int | None) -> GenerationConfig:
    # What is None here comes from the checkpoint's generation_config; its sampling values must not, because
    # transformers warns about them where do_sample is False.
    return GenerationConfig(
        do_sample=False, temperature=1.0, top_p=1.0, top_k=50, max_new_tokens=max_new_tokens,
        eos_token_id=sorted(eos_token_ids), pad_token_id=pad_token_id,
    )  # fmt: skip


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )

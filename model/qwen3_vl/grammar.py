"""A JSON schema as a rule for the next token, by llguidance: what is written always parses.

It does not choose tokens where more than one may follow, and knows nothing of prompts. The mask is applied
by hand: llguidance's own kernel goes through `torch.compile`, which wants a C++ compiler on the user's machine.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from model.call_options import UnsupportedSchema
from model.errors import ModelError
from model.qwen3_vl.bounded_schema import bounded
from model.qwen3_vl.closing_bound import closing_bound

CLOSING_TOKENS = 16
"""So many tokens before the shortest way to the end must be taken, strings and lists are closed already,
so that the choices behind them (a verdict, a number) are still the model's."""

_LONGEST_CLOSING = 8192
_FIRST_TRIED = 8
_OPTIONS = {
    "whitespace_flexible": False,  # compact, like model_dump_json, on whose output the checkpoint was trained
    "json_allowed_escapes": '"\\bfnrt',  # no \u: half of a surrogate pair is a grammatical string that no parser takes
}


class GrammarFailed(ModelError):
    """llguidance gave up."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Writing {name!r} under its grammar failed: {reason}; use a simpler schema.")
        self.name = name


@dataclass(frozen=True)
class _Grammar:
    """A schema's grammar, compiled."""

    matcher: llguidance.LLMatcher
    """At its beginning; to be copied."""
    bound: int | None
    """Most tokens that any beginning of a document can want to its end; None where nothing is known."""
    shortest: int
    """Tokens of the shortest document."""


class Grammars:
    """The grammars of one tokenizer, each compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, eos_token_ids: Sequence[int]) -> None:
        tokens = llguidance.hf.from_tokenizer(tokenizer, eos_token=list(eos_token_ids))
        self._closings = Closings(tokens)
        self._grammars: dict[str, _Grammar] = {}

    def constraint(
        self,
        schema: Mapping[str, Any],
        name: str,
        max_new_tokens: int,
        choose: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> "JsonConstraint":
        """Return a fresh constraint for one generation.

        Args:
            schema: JSON schema.
            name: The schema's name, for messages.
            max_new_tokens: Soft limit: what the shortest document needs is always granted.
            choose: Turns scores (1, V) into scores whose greatest is the sampled token; none means greedy.

        Raises:
            UnsupportedSchema: The schema, or a part of it, has no grammar.
        """
        key = json.dumps(schema, sort_keys=False)
        if key not in self._grammars:
            self._grammars[key] = self._compile(schema, name)
        return JsonConstraint(name, self._grammars[key], self._closings, max_new_tokens, choose)

    def _compile(self, schema: Mapping[str, Any], name: str) -> _Grammar:
        limited = bounded(schema, name)
        source = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(limited), _OPTIONS)
        # log_level 0: a refused schema is an exception here, not a line on somebody's terminal
        matcher = llguidance.LLMatcher(self._closings.tokens, source, log_level=0)
        if matcher.is_error():
            raise UnsupportedSchema(name, f"{matcher.get_error().splitlines()[0]}; use a simpler field")
        return _Grammar(matcher, closing_bound(limited), len(self._closings.closing(matcher, name)))


class JsonConstraint(LogitsProcessor):
    """Allows the tokens that keep the text a beginning of the document, and ends it in time.

    Invariant: from the present state, a way to the end is known that fits the tokens left, or the schema says that
    every way does. A token that the model chose is taken only if that stays true afterwards; else the way's next token
    is.
    """

    def __init__(
        self,
        name: str,
        grammar: _Grammar,
        closings: "Closings",
        max_new_tokens: int,
        choose: Callable[[torch.Tensor], torch.Tensor] | None,
    ) -> None:
        self._name = name
        self._matcher = grammar.matcher.deep_copy()
        self._bound = grammar.bound
        self._closings = closings
        self._choose = choose
        self._written = 0
        self._way: list[int] | None = None
        """To the end from the present state, where it was looked for."""
        self._next: tuple[int, list[int]] | None = None
        """The token that was allowed last, and the way behind it."""
        self.max_new_tokens = max(max_new_tokens, grammar.shortest)
        """Hard limit, which the document never exceeds."""

    @property
    def is_complete(self) -> bool:
        """Whether the document has ended and nothing may follow."""
        return bool(self._matcher.is_stopped())

    def consume(self, token: int) -> None:
        """Take the token that was chosen.

        Raises:
            GrammarFailed: It does not fit, which means that llguidance ran into one of its limits.
        """
        self._written += 1
        self._way = self._next[1] if self._next is not None and self._next[0] == token else None
        self._next = None
        if not self._matcher.is_stopped() and not self._matcher.consume_token(token):
            raise GrammarFailed(self._name, self._matcher.get_error().splitlines()[0])

    def way_to_the_end(self) -> list[int]:
        """Return a short way from here to the end of the document, as tokens."""
        return self._closings.closing(self._matcher, self._name)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (1, V) under which only one grammatical token has a finite score.

        V is the width of the model's head, which may be wider or narrower than the tokenizer's vocabulary.
        """
        bits = self._closings.mask(self._matcher, self._name)
        token = self._in_time(self._best(bits, scores), bits)
        chosen = torch.full_like(scores, -torch.inf)
        chosen[:, token] = 0.0
        return chosen

    def _best(self, bits: bytes, scores: torch.Tensor) -> int:
        """Return the allowed token with the greatest score, drawn or not."""
        if self._choose is None:  # what the model wants most is mostly allowed, or among the first
            values, tokens = scores[0].topk(min(_FIRST_TRIED, scores.shape[-1]))
            found = [(-value, token) for value, token in zip(values.tolist(), tokens.tolist(), strict=True)
                     if _has(bits, token)]  # fmt: skip
            if found:
                return int(min(found)[1])
        allowed = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little").astype(bool)
        width = min(len(allowed), scores.shape[-1])
        mask = torch.zeros(scores.shape[-1], dtype=torch.bool)
        mask[:width] = torch.from_numpy(allowed[:width])
        scores = scores.masked_fill(~mask.to(scores.device), -torch.inf)
        return int((self._choose(scores) if self._choose else scores).argmax())

    def _in_time(self, token: int, bits: bytes) -> int:
        """Return the token, or the next one on the way to the end where the token would make it too late."""
        left = self.max_new_tokens - self._written
        if self._bound is not None and left > self._bound + CLOSING_TOKENS:
            return token
        way = self._way if self._way is not None else self.way_to_the_end()
        if left <= len(way) + CLOSING_TOKENS:
            closer = self._closings.closer(self._matcher, bits)
            if closer is not None:
                token = closer
        after = way[1:] if token == way[0] else self._way_behind(token)
        if after is None or len(after) >= left:
            token, after = way[0], way[1:]
        self._next = (token, after)
        return token

    def _way_behind(self, token: int) -> list[int] | None:
        """Return a way to the end behind a token; None where the token may not stand here."""
        ahead = self._matcher.deep_copy()
        return self._closings.closing(ahead, self._name) if ahead.consume_token(token) else None


class Closings:
    """Finds short ways from a state of a matcher to the end of its document, with one tokenizer."""

    def __init__(self, tokens: llguidance.LLTokenizer) -> None:
        self.tokens = tokens
        self._quote, self._brace, self._bracket, self._comma, self._zero = (
            tokens.greedy_tokenize(char)[0] for char in '"}],0'
        )

    def closing(self, matcher: llguidance.LLMatcher, name: str) -> list[int]:
        """Return a short way from a state to the end of the document, as tokens; `name` is the schema's."""
        matcher = matcher.deep_copy()
        way: list[int] = []
        while not matcher.is_stopped():
            if len(way) > _LONGEST_CLOSING:
                raise UnsupportedSchema(name, "it is too long even when empty; ask for less at once")
            forced = self.tokens.tokenize_bytes(matcher.compute_ff_bytes())
            step = forced or [self._shortest(matcher, name)]
            if not matcher.consume_tokens(step):
                raise GrammarFailed(name, matcher.get_error().splitlines()[0])
            way += step
        return way

    def _shortest(self, matcher: llguidance.LLMatcher, name: str) -> int:
        bits = self.mask(matcher, name)
        closer = self.closer(matcher, bits)
        if closer is not None:
            return closer
        for token in (self._zero, self._quote, self._comma):
            if _has(bits, token):
                return token
        # Byte-level vocabularies begin with the single bytes, so the first token is a short one.
        return int(np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little").argmax())

    def closer(self, matcher: llguidance.LLMatcher, bits: bytes) -> int | None:
        """Return the token that closes what is open, where one may follow now."""
        if matcher.is_accepting():
            return int(self.tokens.eos_token)
        if _has(bits, self._brace) and _has(bits, self._bracket):  # both: these are a string's contents
            return self._quote if _has(bits, self._quote) else None
        return next((token for token in (self._brace, self._bracket) if _has(bits, token)), None)

    def mask(self, matcher: llguidance.LLMatcher, name: str) -> bytes:
        """Return one bit for each token, the lowest first: whether it may follow."""
        bits: bytes = matcher.compute_bitmask()
        if matcher.is_error():
            raise GrammarFailed(name, matcher.get_error().splitlines()[0])
        return bits


def _has(bits: bytes, token: int) -> bool:
    return token < 8 * len(bits) and bool(bits[token >> 3] >> (token & 7) & 1)

"""The thinking of a local model: where it begins and ends, and that it ends in time. It chooses no token.

It goes by the text and not by token numbers, so that it serves every tokenizer: after a prompt that ends in `<think>`
the model thinks first (Qwen3-VL-Thinking's template writes that), and so does a model whose first token is the tag.
"""

from typing import TYPE_CHECKING

from torch import Tensor

from model.qwen3_vl.token_stream import TextFollower

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OPEN, CLOSE = "<think>", "</think>"
_TAIL_TOKENS = 16


class Thoughts:
    """Follows one answer from its first token; while `is_open` no grammar may rule."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", prompt: Tensor, budget: int, *, may_open: bool) -> None:
        """Look at the prompt.

        Args:
            tokenizer: Of the model.
            prompt: Its tokens (L,).
            budget: Most tokens of thinking; then it is closed by force.
            may_open: Whether the model may begin to think by itself; not under a grammar.
        """
        self.is_open = str(tokenizer.decode(prompt[-_TAIL_TOKENS:])).rstrip().endswith(OPEN)
        """Whether the model thinks now."""
        self.thought = ""
        self.written = 0
        """Tokens that were no part of the answer."""
        self._tokenizer = tokenizer
        self._text = TextFollower(tokenizer, (CLOSE,))
        self._may_open = may_open and not self.is_open and OPEN in tokenizer.get_vocab()
        self._closing: list[int] = list(tokenizer.encode(f"{CLOSE}\n\n", add_special_tokens=False))
        self._left = budget
        self._forced: list[int] = []

    @property
    def reserve(self) -> int:
        """Tokens that thinking may yet take beside the answer's."""
        return max(self._left, 0) + len(self._closing) if self.is_open or self._may_open else 0

    def limit(self, budget: int) -> None:
        """Think no more than this."""
        self._left = min(self._left, budget)

    def forced(self) -> int | None:
        """Return the token that must come now; None where the model chooses."""
        if not self.is_open:
            return None
        if self._left <= 0 and not self._forced:
            self._forced = list(self._closing)
        return self._forced[0] if self._forced else None

    def takes(self, token: int) -> bool:
        """Take a token where it belongs to the thinking, and return whether it does."""
        if self._may_open:
            self._may_open = False
            self.is_open = str(self._tokenizer.decode([token])).strip() == OPEN
            self.written += self.is_open
            return self.is_open
        if not self.is_open:
            return False
        self.written += 1
        self._left -= 1
        if self._forced:
            self._forced.pop(0)
        self.thought += self._text.feed(token)
        if self._text.stopped and not self._forced:
            self.is_open, self.thought = False, self.thought.strip()
        return True

"""Tokens, one at a time, as text that can be shown at once. It knows no model and chooses nothing."""

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextFollower:
    """Decodes a byte-level tokenizer's tokens and ends the text before the first stop string.

    What it gives out is final: bytes of an unfinished character and characters that may begin a stop string
    wait inside until the next token decides.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", stop: Sequence[str] = ()) -> None:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        self._tokenizer = tokenizer
        self._byte = {char: byte for byte, char in bytes_to_unicode().items()}
        self._added = tokenizer.added_tokens_decoder
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """Whether a stop string was met."""

    def feed(self, token: int) -> str:
        """Take a token and return the text that it makes certain; nothing after a stop string."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(self._bytes(token))
        found = [at for at in (self._held.find(text) for text in self._stop) if at >= 0]
        if found:
            self.stopped = True
            text, self._held = self._held[: min(found)], ""
            return text
        keep = max((_overlap(self._held, text) for text in self._stop), default=0)
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def finish(self) -> str:
        """Return the text that waited for a stop string; an unfinished character is dropped."""
        text, self._held = self._held, ""
        return text

    def _bytes(self, token: int) -> bytes:
        added = self._added.get(token)
        if added is not None:
            return b"" if added.special else added.content.encode()
        text = self._tokenizer.convert_ids_to_tokens(token)
        if text is None:  # the model's head is wider than the vocabulary
            return b""
        return bytes(self._byte[char] for char in text) if all(char in self._byte for char in text) else text.encode()


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` begin `stop`."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)

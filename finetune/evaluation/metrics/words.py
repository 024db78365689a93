"""Cuts a text into words: Chinese by jieba's dictionary, other scripts where they stand apart."""

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jieba import Tokenizer


def cut(text: str) -> list[str]:
    """Return the words, marks and gaps of a text, which together are the text again."""
    return list(_tokenizer().cut(text))


@cache
def _tokenizer() -> "Tokenizer":
    import jieba

    jieba.setLogLevel(logging.WARNING)  # it tells of its dictionary on stderr
    return jieba.dt

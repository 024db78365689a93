"""Cuts a text into words: Chinese by jieba's dictionary, other scripts where they stand apart."""

import logging
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jieba import Tokenizer


def cut(text: str) -> list[str]:
    """Return the words, marks and gaps of a text, which together are the text again."""
    return list(_tokenizer().cut(text))


@cache
def _tokenizer() -> "Tokenizer":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own source's, where it has not been compiled yet
        import jieba

    jieba.setLogLevel(logging.WARNING)  # it tells of its dictionary on stderr
    return jieba.dt

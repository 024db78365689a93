"""Which language a question is asked in, and so the prompts. It tells Chinese from all else."""

import re

from graph.prompts import CHINESE, ENGLISH, Prompts
from graph.wording.capable import CAPABLE_CHINESE, CAPABLE_ENGLISH

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff]+")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


def prompts_for(question: str, *, capable: bool = False) -> Prompts:
    """Return the prompts in the question's language, Chinese where most of what is asked is: a character is a word.

    Args:
        question: In the user's words.
        capable: Whether they are for another model than the bundled checkpoint.
    """
    if is_chinese(question):
        return CAPABLE_CHINESE if capable else CHINESE
    return CAPABLE_ENGLISH if capable else ENGLISH


def is_chinese(text: str) -> bool:
    """Return whether most of the words are Chinese."""
    chinese, others = len(_HAN.findall(text)), len(_WORD.findall(text))
    return chinese > others and not _KANA_OR_HANGUL.search(text)


def tiny_reads(text: str) -> bool:
    """Return whether the bundled checkpoint may read a text: it is Chinese, or most of its letters are Latin."""
    letters = [letter for letter in text if letter.isalpha()]
    return is_chinese(text) or sum(letter < "\u0250" for letter in letters) * 2 >= len(letters)

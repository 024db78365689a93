"""Which language a question is asked in, and so the prompts. It knows Chinese and takes all else for English."""

import re

from graph.prompts import CHINESE, ENGLISH, Prompts

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[^\W\d_\u3400-\u9fff\uf900-\ufaff]+")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


def prompts_for(question: str) -> Prompts:
    """Return the Chinese prompts where most of what is asked is Chinese: each character counts as a word."""
    chinese = len(_HAN.findall(question))
    others = len(_WORD.findall(question))
    return CHINESE if chinese > others and not _KANA_OR_HANGUL.search(question) else ENGLISH

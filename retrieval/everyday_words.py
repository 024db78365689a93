"""How often a word stands in everyday texts: few passages cannot tell what is rare in a language from what they lack.

Frequencies are those of `retrieval.words.lists`.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

from retrieval.tokens import PAIRED, document_tokens, is_unspaced, language_of_word, query_words
from retrieval.words.lists import listed

PASSAGE_WORDS = 120
"""Of the everyday passages in which a word is said to stand or not."""
LEAST, LEAST_OF_PAIRS = 3e-5, 1e-5
"""Share of the words of a language from which one is looked at: a rarer one stands in a few passages of a thousand."""
LEAST_KNOWN = 1e-5
"""Share of a language's words from which one is no slip: "recieve" and its like are listed, too, and rarer."""
_CHARACTERS_A_WORD = 1.6  # of Chinese running text


def share_of_passages(token: str, language: str | None) -> float:
    """Return in which share of everyday passages a token stands, 0 to 1.

    Args:
        token: As `retrieval.tokens` cuts it.
        language: Of the text that it is from, ISO 639-1; None takes the usual one of its script.
    """
    if is_unspaced(token):
        usual = language_of_word(token, None)
        found = _pair_frequency(token, "ja" if (usual, language) == ("zh", "ja") else usual)  # they share characters
    elif PAIRED in token:
        found = math.prod(_stems(language or "vi").get(syllable, 0.0) for syllable in token.split(PAIRED))
    else:
        found = _stems(language_of_word(token, language)).get(token, 0.0)
    return 1 - math.exp(-found * PASSAGE_WORDS)


def is_everyday(word: str, language: str) -> bool:
    """Say whether a word as it is written is one that everybody knows; False where no list of the language is known."""
    return listed(language).get(word.casefold(), 0.0) >= LEAST_KNOWN


def _pair_frequency(token: str, language: str) -> float:
    """Return how often a character or a pair stands for each word of running text.

    A pair that is in no word is at the seam of two: that happens as often as its characters meet by chance.
    """
    characters, pairs = _characters(language)
    chances = [characters.get(char, 0.0) for char in token]
    if len(token) == 1:
        return chances[0] * _CHARACTERS_A_WORD
    return max(pairs.get(token, 0.0), math.prod(chances))


@lru_cache(maxsize=8)
def _stems(language: str) -> Mapping[str, float]:
    """Return the frequency of a language's common words, those with one stem together."""
    frequencies = defaultdict[str, float](float)
    for word, frequency in listed(language).items():
        if frequency >= LEAST and len(tokens := query_words(word, language)) == 1:
            frequencies[tokens[0]] += frequency
    return frequencies


@lru_cache(maxsize=4)
def _characters(language: str) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the share of each character in running text, and how often each pair is within a word."""
    characters, pairs = defaultdict[str, float](float), defaultdict[str, float](float)
    for word, frequency in listed(language).items():
        for token in document_tokens(word, language) if frequency >= LEAST_OF_PAIRS else ():
            if is_unspaced(token):
                (characters if len(token) == 1 else pairs)[token] += frequency
    whole = sum(characters.values())
    return {char: frequency / whole for char, frequency in characters.items()}, pairs

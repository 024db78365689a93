"""The words that a compound is made of: who asks about "Urlaub" means "Urlaubsanspruch", too.

After Koehn and Knight, "Empirical methods for compound splitting" (EACL 2003): of the ways to cut a word into listed
ones, that of the fewest parts, and of those of equally many the one whose parts are the most frequent. It knows no
passages.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from retrieval.function_words import function_words
from retrieval.words.lists import listed

LINKS: Mapping[str, tuple[str, ...]] = {
    "de": ("s", "es", "n", "en", "er", "e"), "nl": ("s", "en", "e", "n", "er"), "sv": ("s", "e", "o", "u"),
    "da": ("s", "e", "er"), "no": ("s", "e"), "fi": ("n",),
}  # fmt: skip
"""Letters that join the parts, in the languages that write compounds as one word."""
_ENDINGS: Mapping[str, re.Pattern[str]] = {
    "de": re.compile(
        "[hk]eit|schaft(en)?|ung(en)?|lich(e[nrs]?)?|isch(en?)?|sche[nrs]?|same[ns]?|bar|los|tum|nis|haft|ling|chen|lein"
        "|ier(en|t)|ende[nr]?|ten|te[dst]|sten?|igen|erin|innen|haben|wert|weise|nen|ellen?|tisches?|anti|mali"
    ),
    "nl": re.compile("heid|lijke?|ing(en)?|schap|baar|loos|ische?|[dkt]en|ling"),
    "sv": re.compile("het|skap|ande|ende|liga?|ligt|a(re|rna)|[eo]rna|ens|ning(en)?"),
    "da": re.compile("hed|skab|ende|lige?|else[rn]?|erne|ene|[nr]?ing(en)?|den|ken"),
    "no": re.compile("het|skap|ende|lige?|else[rn]?|ene|[nr]?ing(en)?|den|ken"),
    "fi": re.compile("i?s[st][aä]|i?ll[aä]|lle|i?lt[aä]|maan|[aeiä]{1,2}n|neen|ns[aä]|ss[aä]"),
}
"""Listed as words by accident, and endings of words in truth."""
SHORTEST, LONGEST = 7, 48
"""Letters of a compound."""
SHORTEST_PART = 3
LEAST, LEAST_OF_SHORT = 1e-6, 3e-5
"""Share of a language's words from which one may be a part; of three letters much is listed that is none."""
LEXICAL = 2e-5
"""From here on a word is known as itself: "Freitag" is no free day."""
MOST_PARTS = 4


@lru_cache(maxsize=1 << 16)
def parts(word: str, language: str | None) -> tuple[str, ...]:
    """Return the words that a compound consists of, as they are written; none where it is no compound.

    Args:
        word: In small letters, with its marks.
        language: ISO 639-1.
    """
    if language is None or language not in LINKS or not SHORTEST <= len(word) <= LONGEST or not word.isalpha():
        return ()
    words = listed(language)
    if words.get(word, 0.0) >= LEXICAL:
        return ()
    ways = [way for way in _ways(word, language, words, MOST_PARTS) if len(way) > 1]
    if not ways:
        return ()
    return min(ways, key=lambda way: (len(way), -_together(way, language, words)))


def _together(way: Sequence[str], language: str, words: Mapping[str, float]) -> float:
    return math.prod(_frequency(part, language, words) for part in way)


def every_part(word: str, language: str | None) -> tuple[str, ...]:
    """Return a compound's `parts`, each followed by its own ones where it is a compound itself."""
    return tuple(one for part in parts(word, language) for one in (part, *every_part(part, language)))


def is_compound(word: str, language: str | None) -> bool:
    """Say whether a word has parts."""
    return bool(parts(word, language))


def _ways(word: str, language: str, words: Mapping[str, float], most: int) -> Iterator[tuple[str, ...]]:
    """Yield the ways to cut a word into at most so many parts, the word as it is first."""
    if words.get(word, 0.0) and _frequency(word, language, words):
        yield (word,)
    for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1) if most > 1 else ():
        head = word[:at]
        for link in ("", *LINKS[language]):
            bare = head.removesuffix(link) if link else head
            if len(bare) < SHORTEST_PART or (link and bare == head) or not _frequency(bare, language, words):
                continue
            for rest in _ways(word[at:], language, words, most - 1):
                yield (bare, *rest)


def _frequency(part: str, language: str, words: Mapping[str, float]) -> float:
    """Return how often a part is used as a word, 0 where it is none."""
    if (
        len(part) < SHORTEST_PART
        or (language in _ENDINGS and _ENDINGS[language].fullmatch(part))
        or part in function_words(language)
    ):
        return 0.0
    found = words.get(part, 0.0) or words.get(part + "e", 0.0)
    return found if found >= (LEAST_OF_SHORT if len(part) == SHORTEST_PART else LEAST) else 0.0

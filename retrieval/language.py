"""Which language a text is written in, and how that language's words are cut down to their stems.

Detection is py3langid's (Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012): it
is loaded when the first text asks for it, reads no network, and of texts too short to tell nothing is claimed.
"""

import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from retrieval.function_words import LANGUAGES as FUNCTION_LANGUAGES
from retrieval.function_words import function_words

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNKNOWN = "und"
"""ISO 639-2 for a text whose language cannot be told."""

SNOWBALL: Mapping[str, str] = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
"""Snowball's stemmers by ISO 639-1 code."""
# Besides those: languages that are told apart although their words are not cut down.
_ALSO_KNOWN = (
    "bg", "fa", "he", "hr", "ja", "ko", "lv", "mk", "ms", "sk", "sl", "sq", "sw", "th", "tl", "uk", "ur", "vi", "zh",
)  # fmt: skip
_LOOKED_AT = 600  # characters of a passage: more say nothing new
_LETTERS = 20  # fewer tell nothing by themselves
_SURE = 0.8
_MANY_LETTERS, _VERY_SURE = 80, 0.95
_POSSIBLE = 0.1  # from here on a question may be in that language, too
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "ga": "Irish", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "ms": "Malay", "ne": "Nepali", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

_using = threading.Lock()


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of the language that a passage is written in, `UNKNOWN` where it cannot be told."""
    text = text[:_LOOKED_AT]
    if sum(map(str.isalpha, text)) < _LETTERS:
        return UNKNOWN
    language, sure = max(_chances(text).items(), key=lambda pair: pair[1])
    return language if sure >= _SURE else UNKNOWN


def language_of_question(text: str, among: Collection[str] = ()) -> str:
    """Return as `language_of` does; of a few words the language of which the most are function words.

    Two of them tell a language that is `among` the likely ones; three any: a name may hold two of another's.
    """
    found = language_of(text)
    if found != UNKNOWN:
        return found
    words = [word.casefold() for word in re.findall(r"[^\W\d_]+", text)]
    counts = Counter({one: sum(word in function_words(one) for word in words) for one in FUNCTION_LANGUAGES})
    (first, most), (_, second) = counts.most_common(2)
    return first if most > max(1 if first in among else 2, second) else UNKNOWN


def sure_language_of(text: str) -> str:
    """Return as `language_of` does, but `UNKNOWN` wherever it might be a mistake: what rests on it cannot be seen."""
    text = text[:_LOOKED_AT]
    if sum(map(str.isalpha, text)) < _MANY_LETTERS:
        return UNKNOWN
    language, sure = max(_chances(text).items(), key=lambda pair: pair[1])
    return language if sure >= _VERY_SURE else UNKNOWN


def languages_of(question: str, among: Collection[str]) -> list[str]:
    """Return in which of the given languages a question may be written, likeliest first, at most three.

    A few words often fit several; who searches for them means any.
    """
    if len(among) < 2:
        return list(among)
    chances = {language: chance for language, chance in _chances(question).items() if language in among}
    whole = sum(chances.values())
    ordered = sorted(chances, key=lambda language: -chances[language])
    return [ordered[0], *(one for one in ordered[1:3] if chances[one] >= _POSSIBLE * whole)] if whole else list(among)


@lru_cache(maxsize=64)  # a question's are asked for again and again
def _chances(text: str) -> Mapping[str, float]:
    with _using:  # one identifier keeps the counts of the text that it looks at in itself
        return {str(language): float(chance) for language, chance in _identifier().rank(text)}


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*SNOWBALL, *_ALSO_KNOWN])
    return identifier

"""How often each word of a language is used, by the lists of wordfreq (Robyn Speer, "rspeer/wordfreq", Zenodo 2022).

They come with the library, which reads no network. A list is loaded when it is first asked for.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

_LISTED_AS = {"no": "nb", "sr": "sh", "hr": "sh", "tl": "fil"}


@lru_cache(maxsize=16)
def listed(language: str, size: Literal["small", "large"] = "small") -> Mapping[str, float]:
    """Return the words of a language, ISO 639-1, with their share of all; none where no list is known.

    The small lists hold words from a share of 1e-6 on, the large ones from 1e-8 on.
    """
    from wordfreq import available_languages, get_frequency_dict

    code = _LISTED_AS.get(language, language)
    return get_frequency_dict(code, size) if code in available_languages(size) else {}

"""Turns text into the words that both sides of a lexical search count: stems, codes, characters and pairs.

Does not score, and keeps no positions. Documents and queries go through the same rules, but only queries lose their
function words: a document's length must not depend on a list that may grow.
"""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from retrieval.function_words import function_words
from retrieval.language import SNOWBALL, UNKNOWN
from retrieval.number_forms import other_forms
from retrieval.words.compounds import LINKS, every_part, is_compound
from retrieval.words.seams import seams

TOKENS_FINGERPRINT = "tokens-7"
"""Changes whenever the same text may give other tokens; an index made under another one must be rebuilt."""

MAX_TOKEN_CHARS = 64
"""Longer ones (base64, hashes in a row) are cut alike on both sides, so that they still match by their beginning."""

Script = Literal[
    "latin",
    "cyrillic",
    "greek",
    "arabic",
    "hebrew",
    "devanagari",
    "tamil",
    "han",
    "kana",
    "hangul",
    "southeast",
    "other",
]

_RANGES: tuple[tuple[Script, str], ...] = (
    ("latin", "a-zA-Z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u1e00-\u1eff"),
    ("cyrillic", "\u0400-\u052f"),
    ("greek", "\u0370-\u03ff\u1f00-\u1fff"),
    ("arabic", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff"),
    ("hebrew", "\u0590-\u05ff"),
    ("devanagari", "\u0900-\u097f"),
    ("tamil", "\u0b80-\u0bff"),
    ("han", "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"),
    ("kana", "\u3040-\u30ff\u31f0-\u31ff"),
    ("hangul", "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"),
    # Thai, Lao, Burmese, Khmer: written without spaces as well, but with an alphabet.
    ("southeast", "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"),
)
_SOUTHEAST = dict(_RANGES)["southeast"]
_UNSPACED = "".join(chars for script, chars in _RANGES if script in ("han", "kana", "hangul", "southeast"))
_SCRIPT = re.compile("|".join(f"(?P<{script}>[{chars}])" for script, chars in _RANGES))
_USUAL: Mapping[Script, str] = {
    "latin": "en", "cyrillic": "ru", "greek": "el", "arabic": "ar", "devanagari": "hi", "tamil": "ta",
    "han": "zh", "kana": "ja", "hangul": "ko", "southeast": "th",
}  # fmt: skip
"""The language that a script's words are taken for where nothing better is known."""
_SCRIPT_OF: Mapping[str, Script] = {
    "bg": "cyrillic", "mk": "cyrillic", "ru": "cyrillic", "uk": "cyrillic", "el": "greek", "ar": "arabic",
    "fa": "arabic", "ur": "arabic", "hi": "devanagari", "ne": "devanagari", "ta": "tamil", "he": "hebrew",
    "hy": "other", "ja": "kana", "ko": "hangul", "th": "southeast", "zh": "han",
}  # fmt: skip
"""Of the languages that are not written in Latin letters; Serbian is written in both, and mostly in Latin ones here."""
_PARTS: Mapping[Script, int] = {"han": 1, "kana": 1, "hangul": 1, "southeast": 3}
"""Characters of the smaller of the two units that scripts without spaces are cut into; the larger has one more. Of an
alphabet's letters each is everywhere, and so is every second pair."""
_LETTERS_A_WORD = 5  # about, in Thai
_ALPHABET_OR_NOT = re.compile(rf"[{_SOUTHEAST}]+|[^{_SOUTHEAST}]+")
_SYLLABLES = frozenset({"vi"})
"""Languages that put a space between syllables, of which two make a word."""
_SYLLABLE = re.compile(r"[b-df-hj-np-tv-xz]*[aeiouy]+[b-df-hj-np-tv-xz]*")  # a foreign name has more vowels
PAIRED = "~"
"""Between two of them that are one token; no word has it."""
_MARKS_MATTER = frozenset({"vi"})
"""Languages in which a word without its marks is another word."""
# Marks belong to the letter before them: without \u0300-\u036f and the Indic vowel signs a word would fall apart.
_WORD = rf"(?:(?![{_UNSPACED}])[\w\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0b80-\u0bcd])+"
_PIECES = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<word>{_WORD}(?:['’.:/@+\-]{_WORD})*(?:\+\+|#(?!\w))?)")
_INSIDE = re.compile(rf"(?:(?!_)[^\W{_UNSPACED}\u0300-\u036f]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0b80-\u0bcd])+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ENDING = re.compile(r"['’](?:s|(?<=\d['’])[^\W\d_]{1,7})$")
"""What is no part of a word or a number that it is put behind: the company's, 1520'de."""
_SEVERAL = re.compile(r"\d{2,}s")  # the 1990s, all those 502s
_ENDINGS = {"tr": re.compile(r"['’][^\W\d_]{1,7}$")}
"""Where all endings of names stand behind an apostrophe: Türkiye'nin."""
_NOT_ACCENTS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
_FOLD = str.maketrans(_NOT_ACCENTS)

_CHINESE = frozenset("的了着过吗呢吧啊呀是在有和与及或之其于以而也都就又被把从对到为由这那哪什么谁何多少几个些该此请问")
# What a question is asked with, not about; longest first. The pairs that touch one are no words either.
_CHINESE_ASKING = re.compile(
    "是?(?:请告诉我|我想知道|我想了解|我想问|想知道|告诉我|什么时候|什么时间|什么地方|什么样|为什么|怎么样|有没有|是不是|能不能|可不可以"
    "|什么|怎么|怎样|如何|何时|何地|多少|多久|哪里|哪儿|哪个|哪些|哪一|请问|是否|可以)"
)
# The same of Japanese and Korean: what sentences are built with and asked with. Of Korean what stands behind a word.
_JAPANESE_ASKING = re.compile(  # in simplified characters, as the tokens are
    r"(?:について)?(?:教えて|知りたい|おしえて)(?:ください|下さい)?"
    r"|(?:^|(?<=[はがをにでとも\u4e00-\u9fff]))(?:どう(?:すれば|したら|やって)?(?:いい|良い|よい)?|どの(?:くらい|ぐらい|よう)?"
    r"|どれ(?:くらい|ぐらい)?|どちら|どこ|どんな|なぜ|いつ(?!も)|いくら(?![\u4e00-\u9fff])|いくつ|だれ|谁|何故)"
    r"|何(?:日间|时间|年间|[日月年时分人个件回円岁枚本つ])?"
    r"|(?:あり|い|でき|もらえ|なり|され|して|し)?(?:ます|ました|ません|ましょう)か?|でしょうか?|です(?:か|が)?|でした|ください|下さい"
)
_KOREAN_ASKING = re.compile(
    "^(?:며칠|언제|어디|무엇|어떻게|얼마나|몇)|^(?:왜|누가|누구|뭐|어떤|어느|무슨|얼마)(?=$|[은는이가를에예인])"
    "|(?<=..)(?:는|를|에는|에서|에게|으로|까지|부터)$|(?<=...)(?:은|을)$"
    "|(?:은|는)?(?:인가요|입니까|습니까|하나요|되나요|있나요|나요|까요|예요|이에요|에요|세요|합니까|됩니까|있습니까|있어요"
    "|해요|돼요|주세요)$"
)
_ASKING: Mapping[Script, re.Pattern[str]] = {
    "han": _CHINESE_ASKING, "kana": _JAPANESE_ASKING, "hangul": _KOREAN_ASKING,
}  # fmt: skip
"""By the script that a run must have some of."""
# Signs that are not seen, and letters that they would tear apart.
_UNSEEN = (0xAD, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)
# A Chinese comma would become the one inside of a number: 5000，300 are two.
# Of the Turkish İ case folding makes two signs.
_BEFORE_FOLDING: Mapping[int, str | None] = {**dict.fromkeys(_UNSEEN), 0xFF0C: ", ", ord("İ"): "i"}
_ABBREVIATIONS = frozenset({"e.g", "i.e"})


def document_tokens(text: str, language: str | None = None) -> list[str]:
    """Return the tokens of a passage, in order and with repetitions.

    Args:
        text: Of the passage.
        language: In which it is written, ISO 639-1; None takes the usual one of each word's script.
    """
    return [token for token, _ in _tokens(text, language, both=True)]


def query_tokens(text: str, language: str | None = None) -> list[str]:
    """Return the tokens that a question is searched by, without function words unless it consists of nothing else.

    Pairs of syllables are left out: measured, passages are ranked better without them.
    """
    found = [(token, function) for token, function in _tokens(text, language) if PAIRED not in token]
    return _telling(found)


def query_words(text: str, language: str | None = None) -> list[str]:
    """Return the tokens of a question's words as they stand there, without `beside_words`."""
    return _telling(_words(folded(text), language, both=False))


def _telling(found: Iterable[tuple[str, bool]]) -> list[str]:
    """Return the tokens that are no function words; all where there are no others."""
    every = list(found)
    return [token for token, function in every if not function] or [token for token, _ in every]


def script_of(char: str) -> Script | None:
    """Return the script of a character, None for digits, punctuation and spaces."""
    match = _SCRIPT.match(char)
    if match:
        return match.lastgroup  # type: ignore[return-value]  # the groups are named by _RANGES
    return "other" if char.isalpha() else None


def is_unspaced(token: str) -> bool:
    """Say whether a token is in a script that is written without spaces."""
    return script_of(token[0]) in _PARTS


def is_part(token: str) -> bool:
    """Say whether a token is the smaller unit of a script that is written without spaces, mostly a part of a word."""
    script = script_of(token[0])
    return script is not None and len(token) == _PARTS.get(script)


def words_in(tokens: Sequence[str]) -> float:
    """Return about how many words a text of these tokens is; those of Chinese, Japanese and Korean count as one each.

    What a question's length says was measured so. Of an alphabet's units there are many more to a word.
    """
    alphabetic = sum(1 for token in tokens if script_of(token[0]) == "southeast")
    return len(tokens) - alphabetic + alphabetic / (2 * _LETTERS_A_WORD)


def script_counts(text: str) -> Counter[Script]:
    """Count the letters of each script."""
    scripts = (script_of(char) for char in unicodedata.normalize("NFKC", text))
    return Counter(script for script in scripts if script)


class Piece(NamedTuple):
    """A word, a code, or a run of characters without spaces, and what is searched for it."""

    start: int
    """In the folded text."""
    end: int
    whole: str
    """A code as it is written; empty where the piece is none."""
    words: tuple[tuple[str, bool], ...]
    """Each token, and whether it is a function word."""


def folded(text: str) -> str:
    """Return the text in the letters that tokens are written in."""
    # Twice, because case folding may leave characters that compatibility normalisation would have changed.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_BEFORE_FOLDING)).casefold())
    return _THOUSANDS.sub("", text)


def pieces(text: str, language: str | None, *, both: bool = False) -> Iterator[Piece]:
    """Yield the pieces of a folded text.

    `both` adds the stems of words without their marks, as people type them, where those are others: a passage is found
    by both, a question means the one it has.
    """
    for match in _PIECES.finditer(text):
        if match["unspaced"]:
            yield Piece(*match.span(), "", tuple(_unspaced(match["unspaced"], asked=not both)))
        else:
            yield Piece(*match.span(), *_spaced(match["word"], language, both))


def _tokens(text: str, language: str | None, *, both: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each token and whether it is a function word; `both` as in `pieces`."""
    text = folded(text)
    yield from _words(text, language, both=both)
    yield from ((token, False) for token in beside_words(text, language))


def _words(text: str, language: str | None, *, both: bool) -> Iterator[tuple[str, bool]]:
    """Yield each token of a folded text's pieces, and whether it is a function word."""
    for piece in pieces(text, language, both=both):
        if piece.whole:
            yield piece.whole, False
        yield from piece.words


def beside_words(text: str, language: str | None) -> list[str]:
    """Return the tokens that stand behind those of a folded text's words, so that those of a phrase stay together.

    They are the other forms of its numbers; each pair of neighbours where a word is written as several; and the parts
    of compounds where several are written as one.
    """
    forms = [form[:MAX_TOKEN_CHARS] for form, _, _ in other_forms(text)]
    of_compounds = [part for compound in compounds(text, language) for part in compound.every]
    return [*forms, *syllable_pairs(text, language), *of_compounds]


class Compound(NamedTuple):
    """The tokens of a word that is written as one and consists of several."""

    whole: str
    every: tuple[str, ...]
    """Of its parts, and of theirs."""
    last: tuple[str, ...]
    """Of those parts that have none themselves."""


def compounds(text: str, language: str | None) -> list[Compound]:
    """Return the compounds of a folded text, as often as they stand there."""
    if language not in LINKS:
        return []
    found = list[Compound]()
    for word in _INSIDE.findall(text):
        if every := every_part(word, language):
            last = (part for part in every if not is_compound(part, language))
            stems = (tuple(_stem(part, language) for part in some) for some in (every, last))
            found.append(Compound(_stem(word[:MAX_TOKEN_CHARS], language), *stems))
    return found


def syllable_pairs(text: str, language: str | None) -> list[str]:
    """Return each two neighbours of a folded text in a language that writes syllables apart, but for function words."""
    if language not in _SYLLABLES:
        return []
    found, last = list[str](), None
    for piece in pieces(text, language):
        word = piece.words[0] if len(piece.words) == 1 and not piece.whole else ("", True)
        this = (piece.end, word[0]) if not word[1] and _SYLLABLE.fullmatch(_fold(word[0])) else None
        between = text[last[0] : piece.start] if last else ""
        if last and this and between.isspace() and "\n\n" not in between:
            found.append(f"{last[1]}{PAIRED}{this[1]}")
        last = this
    return found


def _unspaced(run: str, *, asked: bool) -> Iterator[tuple[str, bool]]:
    """Yield the characters of a run and its pairs of neighbours; of an alphabet each three and four letters.

    Which of them only ask is looked for where the run is `asked`: of a passage nobody wants to know.
    """
    for part in _ALPHABET_OR_NOT.findall(run.translate(_simplified())):
        yield from _units(part, asked=asked)


def _units(run: str, *, asked: bool) -> Iterator[tuple[str, bool]]:
    """Yield the units of a run of one kind of script."""
    part = _PARTS.get(script_of(run[0]) or "other", 1)
    asking = [False] * len(run)
    scripts = {script_of(char) for char in run} if asked else set()
    for script, pattern in _ASKING.items():
        for match in pattern.finditer(run) if script in scripts else ():
            asking[match.start() : match.end()] = [True] * len(match.group())
    between = seams(run) if scripts == {"han"} else frozenset()
    for size in (min(part, len(run)), part + 1):
        for start in range(len(run) - size + 1):
            token, asks = run[start : start + size], any(asking[start : start + size])
            torn = size > 1 and start + 1 in between
            yield token, asks or torn or all(char in _CHINESE for char in token)  # 什么, 多少, 的是


def _spaced(run: str, language: str | None, both: bool) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Return the run as a whole if it is a code, and its words."""
    marked = _ENDINGS.get(language or "", _ENDING).sub("", run)
    run = _fold(marked)
    if run in _ABBREVIATIONS:
        return "", tuple((word, True) for word in run.split("."))
    words = _INSIDE.findall(run)
    # "and/or" and "two-dimensional" are words that touch; a digit, an underscore or an inner dot makes a name of them.
    is_name = (len(words) > 1 or run[-1] in "+#") and re.search(r"[\d_.:@+#]", run)
    with_marks = words if run == marked else _INSIDE.findall(marked)
    if len(with_marks) != len(words):
        with_marks = words
    found: list[tuple[str, bool]] = []
    for word, as_written in zip(words, with_marks, strict=True):
        spoken = language_of_word(word, language)
        if spoken == "en":  # its marks come from other languages, and its stemmer knows none
            as_written = word
        function = as_written in function_words(spoken)
        stem = _stem(as_written[:MAX_TOKEN_CHARS], spoken)
        found.append((stem, function))
        if both and as_written != word and (typed := _stem(word[:MAX_TOKEN_CHARS], spoken)) != stem:
            found.append((typed, function))
    return run[:MAX_TOKEN_CHARS] if is_name else "", tuple(found)


def language_of_word(word: str, language: str | None) -> str:
    """Return the language of the text if it is written in this word's script, else the usual one of the script."""
    script = script_of(word[0]) or "other"
    if language and language != UNKNOWN and _SCRIPT_OF.get(language, "latin") == script:
        return language
    return _USUAL.get(script, "")


def _fold(word: str) -> str:
    """Take the accents off Latin letters; elsewhere (й, が, Indic vowels) a mark makes another letter."""
    if word.isascii():
        return word
    folded: list[str] = []
    for char in unicodedata.normalize("NFD", word):
        if not (unicodedata.combining(char) and folded and folded[-1].isascii()):
            folded.append(char)
    return unicodedata.normalize("NFC", "".join(folded)).translate(_FOLD)


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Return the simplified form of each traditional character, by OpenCC's table."""
    from importlib.resources import files

    lines = (files("opencc") / "dictionary" / "TSCharacters.txt").read_text("utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if "\t" in line]
    return {ord(before): after.split()[0] for before, after in pairs if len(before) == 1} | {ord("麼"): "么"}


_stemming = threading.Lock()


@lru_cache(maxsize=1 << 16)
def _stem(word: str, language: str) -> str:
    """Return the word's Snowball stem in that language, without accents; the word itself where it has no stemmer."""
    # The languages of a script that have none share enough endings with its usual one in Cyrillic, and only there.
    stemmer = SNOWBALL.get(language) or ("russian" if language in ("uk", "bg", "mk") else None)
    if language in _MARKS_MATTER:
        return unicodedata.normalize("NFC", word)
    if stemmer is None or any(char.isdigit() for char in word):
        return _fold(word[:-1] if _SEVERAL.fullmatch(word) else word)
    with _stemming:  # a Snowball stemmer keeps the word that it works on in itself
        return _fold(str(_stemmer(stemmer).stemWord(word))) or _fold(word)


@lru_cache
def _stemmer(language: str):  # type: ignore[no-untyped-def]
    import snowballstemmer

    return snowballstemmer.stemmer(language)

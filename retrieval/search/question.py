"""A question as it is searched for and judged: its language, its readings, its words and codes. It searches nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.everyday_words import is_everyday, share_of_passages
from retrieval.function_words import function_words
from retrieval.index.lexical import TantivyIndex
from retrieval.index.searched_words import holds_unknown, languages_held
from retrieval.language import UNKNOWN, language_of_question, languages_of
from retrieval.search.asking import plainly, readings
from retrieval.search.first import as_typed, identities, rare_codes, unknown_codes
from retrieval.search.fusion import lexical_weight
from retrieval.search.relevance import word_worths
from retrieval.terms import Term, codes, is_exact, phrases, terms
from retrieval.tokens import document_tokens, query_tokens, query_words, script_counts

PUNCTUATION = ".,;:!?\"'()[]„“”«»¿¡…"
MOST_LANGUAGES = 3  # of the passages, besides its own, in which a question's names are looked for
_WORD = re.compile(r"[^\W\d_]+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
ALL_NOUNS = frozenset({"de"})
"""Languages that write every noun with a capital letter."""
UNTOLD = "en"
"""As whose words those of a passage in no known language are cut down."""
_NAME = re.compile(r"[^\W\d_a-z][^\W\d_]+(?:\s[^\W\d_a-z][^\W\d_]+)+")
UNSPACED = {"han": "zh", "kana": "ja", "hangul": "ko"}
"""Scripts of which a few characters tell the language."""


@dataclass(frozen=True)
class Question:
    """What a search needs to know of a question before it looks at passages."""

    text: str
    """As it was asked."""
    plain: str
    """Without the words that only ask."""
    words: tuple[str, ...]
    """Tokens that are searched for, in each language that it may be in."""
    language: str | None
    """Of the passages' languages the likeliest, or, where it is surely in none of them, its own."""
    readings: tuple[tuple[Term, ...], ...]
    """One of which a passage must cover."""
    worth: Mapping[str, float]
    """Of each token in the readings."""
    codes: tuple[str, ...]
    quoted: tuple[tuple[str, ...], ...]
    """Tokens of what stands in quotation marks."""
    names: tuple[tuple[Term, ...], ...]
    """Its runs of words with a capital letter, as the passages' other languages would cut them."""
    named: tuple[Term, ...]
    """Codes that name one thing."""
    rare: tuple[Term, ...]
    """Those of them that few documents mention, so that they tell one from the others."""
    unknown: tuple[Term, ...]
    """Those of them, and dates, that no document mentions."""
    absent: tuple[str, ...]
    """Its names that no document mentions: what passages say of others is no sure answer."""
    exact: tuple[Term, ...]
    """Codes, dates and amounts that some document mentions: one that does not is no sure answer."""
    passages: int
    """How many there are."""
    frequencies: Mapping[str, int]
    lexical_weight: float
    """How far the words can be found at all, 0 to 1."""
    languages: frozenset[str]
    """Of the passages' languages those that it may be in."""
    held: tuple[str, ...]
    """All languages of the passages, the most frequent first."""
    may_be: tuple[str | None, ...]
    """In which languages it may be meant where vectors are concerned: of few words several, of a code alone any."""
    readable: bool
    """Whether the passages are in its language, so that words which they lack say something."""

    @property
    def notes(self) -> list[str]:
        """Return what the user must know of it."""
        return [f"codes: no document mentions {as_typed(term, self.text)}" for term in self.unknown]


def read_question(text: str, lexical: TantivyIndex) -> Question:
    """Read a question against the words of an index."""
    held, plain = languages_held(lexical), plainly(text)
    # What the words stand for hangs on the language; of a few words several are possible, and each is tried.
    languages: list[str | None] = [*languages_of(text, held)] or [None]
    ways = readings(text)
    read = [(one, language) for language in languages for one in ways]
    said = [(plain, language) for language in languages]
    if languages[0] not in (None, UNTOLD) and holds_unknown(lexical):
        # A table's words are hardly enough to tell its language by.
        read += [(_telling(one, languages[0]), UNTOLD) for one in ways]
        said.append((_telling(plain, languages[0]), UNTOLD))
    spoken = {token: language for one, language in reversed(read) for token in document_tokens(one, language)}
    asked = tuple(tuple(terms(*pair)) for pair in read)
    named = identities(asked[0])
    # A short code is found however its letters and digits are set apart.
    written = list(dict.fromkeys(name for term in named for name in term.names if name not in spoken))
    names = _names_elsewhere(plain, [one for one in held if one not in languages])
    of_names = dict.fromkeys(word for name in names for term in name for word in term.words)
    tokens = list(dict.fromkeys([*spoken, *written, *of_names]))
    frequencies, in_names = lexical.frequencies(tokens), lexical.frequencies_in_names(tokens)
    everyday = {token: share_of_passages(token, language) for token, language in spoken.items()}
    # A word that only a file's name holds finds that file.
    findable = {token: frequencies[token] or in_names[token] for token in spoken}
    seen = max(lexical_weight(text, findable, lexical.count, language) for language in languages)
    sure = language_of_question(text, held)
    foreign = sure != UNKNOWN and sure not in held
    there = [name for name in written if frequencies[name] or in_names[name]]
    exact = [term for term in asked[0] if any(map(is_exact, term.names))]
    numbers = [name for term in exact for name in term.names]
    told = [term for term in exact if any(frequencies.get(name) or in_names.get(name) for name in term.names)]
    # Its year, month and day may stand anywhere in a passage, and are not that day.
    no_day = [term._replace(words=()) for term in exact if term not in told and any(map(_DAY.fullmatch, term.names))]
    return Question(
        text=text,
        plain=plain,
        words=(*_either([*(query_tokens(*one) for one in said), list(of_names)]), *there),
        language=sure if foreign else languages[0],
        readings=asked,
        worth=word_worths(frequencies, lexical.count, everyday),
        codes=tuple(dict.fromkeys((*codes(text), *there, *numbers))),
        quoted=tuple(map(tuple, phrases(text, languages[0]))),
        names=names,
        named=tuple(named),
        rare=tuple(rare_codes(named, frequencies, lexical.count)),
        unknown=tuple(dict.fromkeys([*unknown_codes(named, lexical), *no_day])),
        absent=tuple(
            name
            for name in _names_in(plain, languages[0])
            if not any(frequencies.get(t) or in_names.get(t) for t in query_words(name, languages[0]))
            and not is_everyday(name, languages[0] or UNTOLD)
        ),
        exact=tuple(told),
        passages=lexical.count,
        frequencies=frequencies,
        lexical_weight=seen,
        languages=frozenset() if foreign else frozenset(one for one in languages if one),
        held=tuple(held),
        may_be=(sure,) if foreign else _may_be(text, sure, languages, held),
        # A few words that two languages share make no passage readable in the other.
        readable=not foreign and (seen >= 1 or sure in held or _script_is_held(text, held)),
    )


def _names_in(text: str, language: str | None) -> list[str]:
    """Return the words that have a capital letter because they are names, not since a sentence begins."""
    if language in ALL_NOUNS:
        return []
    found = list(_WORD.finditer(text))
    names = [
        word.group()
        for word in found
        if word.group()[0].isupper() and (text[: word.start()].rstrip(" \"'“‘(«¿¡") or ".")[-1] not in ".!?:;"
    ]
    return names if len(names) <= len(found) / 2 else []  # else it is a headline


def _telling(text: str, language: str | None) -> str:
    """Return a text without the function words of its language, which are none in another one."""
    none = function_words(language or "")
    return _WORD.sub(lambda word: "" if word.group().casefold() in none else word.group(), text)


def _names_elsewhere(text: str, languages: Sequence[str]) -> tuple[tuple[Term, ...], ...]:
    names = [match.group() for match in _NAME.finditer(text)] if languages else []
    found = (tuple(terms(name, language)) for name in names for language in languages[:MOST_LANGUAGES])
    return tuple(dict.fromkeys(name for name in found if len(name) > 1))


def _may_be(text: str, sure: str, languages: Sequence[str | None], held: Sequence[str]) -> tuple[str | None, ...]:
    words = [word for word in text.split() if any(map(str.isalpha, word)) and not any(map(str.isdigit, word))]
    if not words:
        return (None,)
    if sure != UNKNOWN:
        return (languages[0],)
    plain = [word.strip(PUNCTUATION) for word in words]
    known = [one for one in held if all(is_everyday(word, one) for word in plain)]
    return tuple(dict.fromkeys([languages[0], *known]))


def _script_is_held(text: str, held: Sequence[str]) -> bool:
    scripts = script_counts(text).most_common(1)
    return bool(scripts) and UNSPACED.get(scripts[0][0]) in held


def _either(readings: Sequence[Sequence[str]]) -> list[str]:
    """Return the first reading's tokens, and what the others have besides."""
    rest = dict.fromkeys(token for reading in readings[1:] for token in reading if token not in readings[0])
    return [*readings[0], *rest]

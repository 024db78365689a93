"""A question as it is searched for and judged: its language, its readings, its words and codes. It searches nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.everyday_words import share_of_passages
from retrieval.index.lexical import TantivyIndex
from retrieval.index.searched_words import languages_held
from retrieval.language import UNKNOWN, language_of, languages_of
from retrieval.search.asking import plainly, readings
from retrieval.search.first import as_typed, identities, rare_codes, unknown_codes
from retrieval.search.fusion import lexical_weight
from retrieval.search.relevance import word_worths
from retrieval.terms import Term, codes, phrases, terms
from retrieval.tokens import document_tokens, query_tokens, script_counts

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
    named: tuple[Term, ...]
    """Codes that name one thing."""
    rare: tuple[Term, ...]
    """Those of them that few documents mention, so that they tell one from the others."""
    unknown: tuple[Term, ...]
    """Those of them that no document mentions."""
    passages: int
    """How many there are."""
    frequencies: Mapping[str, int]
    lexical_weight: float
    """How far the words can be found at all, 0 to 1."""
    languages: frozenset[str]
    """Of the passages' languages those that it may be in."""
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
    read = [(one, language) for language in languages for one in readings(text)]
    spoken = {token: language for one, language in reversed(read) for token in document_tokens(one, language)}
    tokens = list(spoken)
    frequencies, in_names = lexical.frequencies(tokens), lexical.frequencies_in_names(tokens)
    everyday = {token: share_of_passages(token, language) for token, language in spoken.items()}
    # A word that only a file's name holds finds that file.
    findable = {token: frequency or in_names[token] for token, frequency in frequencies.items()}
    seen = max(lexical_weight(text, findable, lexical.count, language) for language in languages)
    sure = language_of(text)
    foreign = sure != UNKNOWN and sure not in held
    asked = tuple(tuple(terms(*pair)) for pair in read)
    named = identities(asked[0])
    return Question(
        text=text,
        plain=plain,
        words=tuple(_either([query_tokens(plain, one) for one in languages])),
        language=sure if foreign else languages[0],
        readings=asked,
        worth=word_worths(frequencies, lexical.count, everyday),
        codes=tuple(codes(text)),
        quoted=tuple(map(tuple, phrases(text, languages[0]))),
        named=tuple(named),
        rare=tuple(rare_codes(named, frequencies, lexical.count)),
        unknown=tuple(unknown_codes(named, lexical)),
        passages=lexical.count,
        frequencies=frequencies,
        lexical_weight=seen,
        languages=frozenset() if foreign else frozenset(one for one in languages if one),
        # A few words that two languages share make no passage readable in the other.
        readable=not foreign and (seen >= 1 or sure in held or _script_is_held(text, held)),
    )


def _script_is_held(text: str, held: Sequence[str]) -> bool:
    scripts = script_counts(text).most_common(1)
    return bool(scripts) and UNSPACED.get(scripts[0][0]) in held


def _either(readings: Sequence[Sequence[str]]) -> list[str]:
    """Return the first reading's tokens, and what the others have besides."""
    rest = dict.fromkeys(token for reading in readings[1:] for token in reading if token not in readings[0])
    return [*readings[0], *rest]

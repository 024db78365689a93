"""What a question may have meant by a word that no passage holds. It searches nothing by itself."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from retrieval.catalogue.rows import StoredChunk
from retrieval.everyday_words import is_everyday
from retrieval.function_words import function_words
from retrieval.index.lexical import TantivyIndex
from retrieval.number_forms import code_forms
from retrieval.tokens import query_words
from retrieval.words.compounds import is_compound
from retrieval.words.lists import listed

SHORTEST = 4
"""Letters that a word must have; of shorter ones everything is within reach of everything."""
TWO_EDITS_FROM = 8
"""Letters from which two slips may be in one word."""
MOST_SLIPS = 3
"""Unknown words up to which they may be slips."""
SURE_FROM = 7
"""Letters from which a word with one slip is hardly another word."""
OTHER_ENDING = 2
"""Edits that a word may be farther away than its stem."""
SHORTEST_HALF = 3
"""Letters of the halves of a word that passages write apart."""
MOST_READ = 20  # passages that may write it so
_WORD = re.compile(r"[^\W\d_]+")
_HYPHENED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+")
_CODE = re.compile(r"\b(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{4,16}\b", re.IGNORECASE)
_CODE_APART = re.compile(r"\b[a-z]{1,6}\s\d{2,6}\b", re.IGNORECASE)

Read = Callable[[Sequence[int]], Sequence[StoredChunk]]


class Respelled(NamedTuple):
    """A question with the nearest words that passages hold in place of its unknown ones."""

    text: str
    sure: bool
    """Whether every replaced word is a plain long one with one slip; short words and names are near to many."""


def respelled(question: str, lexical: TantivyIndex, read: Read, spoken: Sequence[str]) -> Respelled | None:
    """Return what a question may have meant; None where it has no unknown word, or none is near.

    Args:
        question: As it was asked.
        lexical: Holds the passages' words.
        read: Gives passages by their numbers, for the words as they are written there.
        spoken: Languages that the question may be in, likeliest first.
    """
    language = spoken[0] if spoken else None
    as_asked, question = question, _codes_as_written(question, lexical, read)
    words = [word for word in _WORD.findall(question) if len(word) >= SHORTEST]
    tokens = [token for word in words for token in query_words(word, language)]
    known, named = lexical.frequencies(tokens), lexical.frequencies_in_names(tokens)
    unknown = {token for token in known if not (known[token] or named[token])}
    sure: list[bool] = [True] if question != as_asked else []
    if not 0 < len(unknown) <= MOST_SLIPS:
        # Nothing more to mend; or so much that it is another language, or another subject.
        return Respelled(question, True) if sure else None

    def joined(match: re.Match[str]) -> str:
        word = match.group().replace("-", "")
        parts = {token for part in match.group().split("-") for token in query_words(part, language)}
        if not parts & unknown or not any(lexical.frequencies(query_words(word, language)).values()):
            return match.group()
        sure.append(True)
        return word

    def mended(match: re.Match[str]) -> str:
        word = match.group()
        tokens = query_words(word, language)
        if len(word) < SHORTEST or len(tokens) != 1 or tokens[0] not in unknown:
            return word
        if (apart := _apart(word, lexical, read, language)) is not None:
            sure.append(True)
            return apart
        if word.casefold() in function_words(language or "en") or any(is_everyday(word, one) for one in spoken):
            return word  # it is what it says, whether a passage says it or not
        # Of known words a compound may well be another one; one letter between them is mostly missing.
        reach = 2 if len(word) >= TWO_EDITS_FROM and not is_compound(word.casefold(), language) else 1
        near = _nearest(word, tokens[0], lexical, read, language, reach)
        if near is not None and near[0] != word[0].casefold() and _is_listed({word, tokens[0]}, spoken):
            return word  # slips are seldom in the first letter: who "bakes" takes nothing
        if near is not None:
            sure.append(word.islower() and len(word) >= SURE_FROM and edits(word.casefold(), near) == 1)
        return near or word

    text = _WORD.sub(mended, _HYPHENED.sub(joined, question))
    return Respelled(text, all(sure)) if sure else None


def _is_listed(words: Collection[str], languages: Sequence[str]) -> bool:
    """Say whether one of the words, of which one may be a stem, is a word of one of the languages."""
    return any(word.casefold() in listed(language) for word in words for language in languages)


def _codes_as_written(question: str, lexical: TantivyIndex, read: Read) -> str:
    """Return the question with the codes that no passage holds as one writes them: INV2274 as INV 2274, and back."""

    def apart(match: re.Match[str]) -> str:
        code = match.group()
        if any(lexical.frequencies([code.casefold(), *code_forms(code.casefold())]).values()):
            return code
        return _apart(code, lexical, read, None, shortest=1) or code

    def joined(match: re.Match[str]) -> str:
        code = re.sub(r"\s", "", match.group())
        return code if lexical.frequencies([code.casefold()])[code.casefold()] else match.group()

    return _CODE.sub(apart, _CODE_APART.sub(joined, question))


def _apart(
    word: str, lexical: TantivyIndex, read: Read, language: str | None, *, shortest: int = SHORTEST_HALF
) -> str | None:
    """Return a word as passages write it that part it, "post-mortem"; None where none does."""
    ways = [(word[:at], word[at:]) for at in range(shortest, len(word) - shortest + 1)]
    tokens = {half: query_words(half, language) for way in ways for half in way}
    known = lexical.frequencies([token for some in tokens.values() for token in some])
    for way in ways:
        asked = [token for half in way for token in tokens[half]]
        if len(asked) != 2 or not all(known[token] for token in asked):
            continue
        written = re.compile(r"\b" + r"[-\u2010\s]".join(map(re.escape, way)) + r"(?!\d)", re.IGNORECASE)
        for chunk in read([number for number, _ in lexical.search(asked, MOST_READ)]):
            if match := written.search(chunk.text):
                return match.group()
    return None


def _nearest(word: str, token: str, lexical: TantivyIndex, read: Read, language: str | None, reach: int) -> str | None:
    numbers = lexical.within_edits(token, reach)
    written = {
        found.casefold(): query_words(found, language) for chunk in read(numbers) for found in _WORD.findall(chunk.text)
    }
    near = {
        found: tokens[0]
        for found, tokens in written.items()
        if len(tokens) == 1 and _within(edits(word.casefold(), found), edits(token, tokens[0]), reach)
    }
    if not near:
        return None
    often = lexical.frequencies(list(near.values()))
    return min(near, key=lambda found: (edits(word.casefold(), found), -often[near[found]], found))


def _within(of_words: int, of_stems: int, reach: int) -> bool:
    """Say whether it may be the same word: in itself, or in its stem with another ending."""
    return of_words <= reach or (of_stems <= reach and of_words <= reach + OTHER_ENDING)


def edits(one: str, other: str) -> int:
    """Return how many letters must be added, left out, changed or swapped with their neighbour (Damerau, 1964)."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]

"""What goes first whatever the scores say: passages with a question's rare codes, and with what it quotes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from retrieval.catalogue.rows import StoredChunk
from retrieval.index.lexical import TantivyIndex
from retrieval.index.searched_words import passage_tokens
from retrieval.search.fusion import Fused
from retrieval.search.relevance import RELEVANT
from retrieval.terms import Term, holds_phrase

CODE_IN = 5  # passages that may hold a code that still tells one from the others
_IDENTITY = re.compile(r"(?=.*\d)(?=.*[^\W\d_])(?!\d+[^\W\d_]{1,4}$).+")
"""A digit and a letter, as numbers of invoices, parts and errors have; no ordinal, and no number with its unit."""

Ranked = tuple[Fused, StoredChunk, float]
"""A passage, what the sides said of it, and its relevance."""


def codes_first(
    fused: list[Fused],
    named: Sequence[str],
    lexical: TantivyIndex,
    frequencies: Mapping[str, int],
    allowed: set[int] | None,
    candidates: int,
) -> list[Fused]:
    """Put in front the passages that hold most of the question's rare codes, which mean one thing each.

    Args:
        fused: In the order of the fusion.
        named: The codes.
        lexical: The index of words.
        frequencies: In how many passages each code stands.
        allowed: Passages that may be found.
        candidates: So many at most for each code.
    """
    in_names = lexical.frequencies_in_names(named)
    rare = [
        code
        for code in named
        if 0 < max(frequencies.get(code, 0), in_names[code]) <= max(CODE_IN, lexical.count // 100)
    ]
    if not rare:
        return fused
    held: Counter[int] = Counter()
    for code in rare:
        held.update(number for number, _ in lexical.search([code], candidates, allowed))
    known = {found.number for found in fused}
    fused += [Fused(number, 0.0) for number in held if number not in known]
    # The score stays one that can be compared: 1 for each code, and what the fusion says.
    fused = [replace(f, score=f.score + held[f.number]) for f in fused]
    return sorted(fused, key=lambda found: (-found.score, found.number))


def phrases_first(quoted: Sequence[Sequence[str]], ranked: list[Ranked]) -> list[Ranked]:
    """Put in front the passages in which most of what the question quotes stands together; else keep the order.

    One in which nothing of it does is weak: who quotes means these very words.
    """
    if not quoted:
        return ranked
    held = {chunk.number: _phrases_in(chunk, quoted) for _, chunk, _ in ranked}
    judged = [
        (found, chunk, helps if held[chunk.number] else min(helps, RELEVANT - 0.01)) for found, chunk, helps in ranked
    ]
    return sorted(judged, key=lambda one: -held[one[1].number])


def _phrases_in(chunk: StoredChunk, quoted: Sequence[Sequence[str]]) -> int:
    tokens = passage_tokens(chunk)
    return sum(holds_phrase(tokens, phrase) for phrase in quoted)


def identities(asked: Sequence[Term]) -> list[Term]:
    """Return the terms that name one thing, such as an invoice."""
    return [term for term in asked if _IDENTITY.fullmatch((term.names or term.words)[0])]


def rare_codes(codes: Sequence[Term], frequencies: Mapping[str, int], count: int) -> list[Term]:
    """Return those of the `identities` that no more passages mention than tell one from the others."""
    most = max(CODE_IN, count // 100)
    return [term for term in codes if max(frequencies.get(one, 0) for one in (term.names or term.words)) <= most]


def unknown_codes(codes: Sequence[Term], lexical: TantivyIndex) -> list[Term]:
    """Return those of the `identities` that no passage and no file's name mentions."""
    tokens = [token for term in codes for token in (term.names or term.words)]
    body, names = lexical.frequencies(tokens), lexical.frequencies_in_names(tokens)
    return [term for term in codes if not any(body[token] or names[token] for token in (term.names or term.words))]


def as_typed(term: Term, question: str) -> str:
    """Return a code as the question has it."""
    name = (term.names or term.words)[0]
    match = re.search(re.escape(name), question, re.IGNORECASE)
    return match.group() if match else name

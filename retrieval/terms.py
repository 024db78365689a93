"""What a question asks for, term by term: a word, or a code, date or amount with every way in which it may be written.

It knows no passage and no index. `retrieval.tokens` cuts the words.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from retrieval.number_forms import code_forms, other_forms
from retrieval.tokens import (
    MAX_TOKEN_CHARS,
    PAIRED,
    Piece,
    beside_words,
    compounds,
    document_tokens,
    folded,
    is_part,
    is_unspaced,
    pieces,
    query_tokens,
    syllable_pairs,
)

_QUOTED = re.compile(r"[\"“”„«「『]([^\"“”„«»「」『』]+)[\"“”»」』]")


PART = 0.4
"""What a part of a word counts for beside the whole: 开 and 会 are everywhere, 开会 is a word. So is a syllable a part
where syllables are written apart."""


APART = 0.75
"""What a compound counts for where all its parts stand in a passage, and it does not: a park and a place are often no
Parkplatz."""


class Term(NamedTuple):
    """One thing that a question names."""

    words: tuple[str, ...]
    """Tokens that must all be there."""
    names: tuple[str, ...] = ()
    """Tokens of which any one stands for all of it: a code as it is written, a date or an amount in its one form."""
    share: float = 1.0
    """Of a word's weight: of a part of one `PART`."""
    parts: tuple[str, ...] = ()
    """Tokens of a compound's parts: a passage that has all of them may speak of it in other words."""

    def held_by(self, tokens: Collection[str]) -> bool:
        """Say whether a passage of these tokens has all of it."""
        return any(name in tokens for name in self.names) or (
            bool(self.words) and all(word in tokens for word in self.words)
        )


def terms(text: str, language: str | None = None) -> list[Term]:
    """Return the terms of a question, each once, without function words unless it consists of nothing else."""
    text = folded(text)
    forms = [(form[:MAX_TOKEN_CHARS], start, end) for form, start, end in other_forms(text)]
    found: dict[Term, bool] = {}
    group: list[Piece] = []
    for piece in pieces(text, language):
        if group and not any(start < group[-1].end and piece.start < end for _, start, end in forms):
            found |= _terms_of(group, forms)
            group = []
        group.append(piece)
    found |= _terms_of(group, forms)
    pairs = syllable_pairs(text, language)
    syllables = {syllable for pair in pairs for syllable in pair.split(PAIRED)}
    found = {
        term._replace(share=PART) if len(term.words) == 1 and term.words[0] in syllables else term: function
        for term, function in found.items()
    } | {Term((pair,)): False for pair in pairs}
    parts = {one.whole: one.last for one in compounds(text, language)}
    found = {
        term._replace(parts=parts.get(term.words[0], ())) if len(term.words) == 1 else term: function
        for term, function in found.items()
    }
    return [term for term, function in found.items() if not function] or list(found)


def _terms_of(group: Sequence[Piece], forms: Sequence[tuple[str, int, int]]) -> dict[Term, bool]:
    """Return the terms of pieces that one number is written in, or of a single piece; whether they are functional."""
    if not group:
        return {}
    words = [pair for piece in group for pair in piece.words]
    written = [form for form, start, end in forms if start < group[-1].end and group[0].start < end]
    alone = group[0].whole if len(group) == 1 else ""
    code = alone or (words[0][0] if len(group) == len(words) == 1 else "")
    names = dict.fromkeys([*([alone] if alone else []), *code_forms(code), *written])
    if not names:
        return {Term((word,), share=PART if is_part(word) else 1.0): function for word, function in words}
    return {Term(tuple(word for word, function in words if not function), tuple(names)): False}


def weight(term: Term, worth: Mapping[str, float]) -> float:
    """Return what a term counts for, given its tokens' worth: its words, and its name where it has one."""
    name = max((worth.get(name, 0.0) for name in term.names), default=0.0)
    whole = sum(worth[word] for word in term.words) + name
    return term.share * whole


def phrases(text: str, language: str | None = None) -> list[list[str]]:
    """Return the tokens of what stands in a question's quotation marks; they must stand together to count."""
    return [tokens for match in _QUOTED.finditer(text) if len(tokens := _in_a_row(match.group(1), language)) > 1]


def _in_a_row(text: str, language: str | None) -> list[str]:
    """Return a phrase's tokens without those that stand elsewhere in a passage."""
    tokens, others = document_tokens(text, language), beside_words(folded(text), language)
    return _without_overlaps(tokens[: len(tokens) - len(others)])


def _without_overlaps(tokens: Sequence[str]) -> list[str]:
    """Leave out the larger units of scripts without spaces, which stand behind all the smaller ones of a run."""
    return [token for token in tokens if is_part(token) or not is_unspaced(token)]


def holds_phrase(tokens: Sequence[str], phrase: Sequence[str]) -> bool:
    """Say whether the tokens of a passage hold those of a phrase, one after the other."""
    return f" {' '.join(phrase)} " in f" {' '.join(_without_overlaps(tokens))} "


def codes(text: str) -> list[str]:
    """Return the tokens of a question that name one thing: numbers of invoices, parts, errors, standards, versions."""
    return [t for t in dict.fromkeys(query_tokens(text)) if is_code(t)]


def is_exact(token: str) -> bool:
    """Say whether a token has the digits of an amount, a date or a code that tells one passage from others."""
    return sum(map(str.isdigit, token)) >= 3


def is_code(token: str) -> bool:
    """Say whether a token names one thing, rather than counting some."""
    digits = sum(char.isdigit() for char in token)
    return digits > 0 and (digits >= 5 or digits < sum(char.isalnum() for char in token) or not token.isalnum())

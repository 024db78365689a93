"""Judges the best candidates of a search: how likely each helps, what is left out, and which goes first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from retrieval.catalogue.rows import StoredChunk
from retrieval.index.lexical import Held
from retrieval.language import UNKNOWN
from retrieval.search.first import Ranked
from retrieval.search.fusion import Fused
from retrieval.search.question import Question
from retrieval.search.relevance import RELEVANT, THRESHOLD, WHOLE, coverage, length, likeness, relevance
from retrieval.search.together import TOGETHER, together
from retrieval.terms import is_exact

HOLDS_ALL = 0.15
"""Added to the score of a passage that holds all the words of a question: what is near to it but says something else
else goes first where the vectors say so. On the known sets it changes nothing that can be told from chance."""


@dataclass(frozen=True)
class Candidates:
    """What is known of the passages that a search found."""

    best: Sequence[Fused]
    chunks: Mapping[int, StoredChunk]
    """Those that are still there."""
    tokens: Mapping[int, Held]
    last_cosine: float | None
    """Of the last that the vectors found: a passage that only its words found is no nearer. None without vectors."""
    without_vector: Collection[int]
    """Of these nothing is known but their words."""


def judged(question: Question, found: Candidates, unrelated: float, *, always: bool) -> list[Ranked]:
    """Return the candidates that may help, best first; of equal scores the likelier goes first.

    Args:
        question: What was asked.
        found: The candidates.
        unrelated: As `unrelated_cosine` of the embedder.
        always: Whether the best one is kept whatever it is worth.
    """
    everything: list[Ranked] = []
    order: dict[int, float] = {}
    for one in found.best:
        chunk = found.chunks.get(one.number)  # gone since the projections caught up
        if chunk is None:
            continue
        tokens = found.tokens.get(one.number, Held([], []))
        held = frozenset([*tokens.body, *tokens.names])
        cosine = found.last_cosine if one.dense_score is None else one.dense_score
        like = None if cosine is None or one.number in found.without_vector else likeness(cosine, unrelated)
        covered = [coverage(asked, question.worth, held) for asked in question.readings]
        readable = question.readable and _is_in(tokens.names, question.languages)
        helps = _helps(question, held, covered, like, readable=readable)
        near = max(together(asked, tokens.body, question.worth) for asked in question.readings)
        if not readable and any(together(name, tokens.body, question.worth) > 0 for name in question.names):
            helps = max(helps, THRESHOLD)  # a name is the same in every language
        everything.append((one, chunk, helps))
        whole = HOLDS_ALL if max(covered) >= WHOLE else 0.0
        order[one.number] = round(one.score + whole + TOGETHER * near, 6)
    kept = [ranked for ranked in everything if ranked[2] >= THRESHOLD]
    # Whoever names a file wants to see what it says.
    kept = kept or (everything[:1] if always else [])
    return sorted(kept, key=lambda ranked: (-order[ranked[0].number], -ranked[2]))


def _is_in(names: Sequence[str], languages: Collection[str]) -> bool:
    """Say whether a passage, by its mark, is in one of the languages; one that is marked with none may be."""
    marked = [name[1:] for name in names if name.startswith("=")]
    return not marked or not languages or any(one in languages or one == UNKNOWN for one in marked)


def _helps(
    question: Question, held: Collection[str], covered: Sequence[float], like: float | None, *, readable: bool
) -> float:
    names_it = any(term.held_by(held) for term in question.rare)
    helps = max(
        relevance(share, like, length(asked), question.passages, lexical_sees=readable, names_it=names_it)
        for share, asked in zip(covered, question.readings, strict=True)
    )
    # What is asked about something that no document mentions no passage answers for sure, and what is asked about an
    # amount, a date or a code none that mentions others.
    unsure = (
        any(not term.held_by(held) for term in question.unknown)
        or (readable and bool(question.absent))
        or (
            question.exact
            and not any(name in held for term in question.exact for name in term.names)
            and any(map(is_exact, held))
        )
    )
    return min(helps, RELEVANT - 0.01) if unsure else helps

"""Merges what the two sides found into one order, and never lets a side that cannot see the question hurt.

Searches nothing itself. A side is blind when the question is written in what its passages (lexical) or its model
(dense) do not know. Its results then are noise that fusion would take for evidence: with an English model and Chinese
passages (cmrc2018) nDCG@10 falls from .992 to .882 by min-max and to .557 by reciprocal ranks, see
benchmarks/retrieval_quality.py. So each side has a weight, 0 to 1: the dense one from `Embedder.knows`, the lexical one
from `lexical_weight`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.index.lexical import worths
from retrieval.settings import Fusion
from retrieval.tokens import query_tokens, script_counts, script_of

RRF_K = 60
"""Cormack, Clarke, Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
SIGIR 2009: the constant they fixed for all collections."""

COMMON = 0.1
"""Share of passages above which a word shows that the passages are in its language, as "the" or 的 does."""

Ranking = Sequence[tuple[int, float]]
"""Numbers and scores, best first."""


@dataclass(frozen=True)
class Fused:
    """A passage, and what each side said of it."""

    number: int
    score: float
    """0 to 1 for min-max; for reciprocal ranks at most 2 / 61."""
    dense_rank: int | None = None
    """From 1."""
    dense_score: float | None = None
    """Cosine."""
    lexical_rank: int | None = None
    lexical_score: float | None = None
    """BM25."""


def fuse(
    dense: Ranking, lexical: Ranking, *, method: Fusion, dense_weight: float = 1.0, lexical_weight: float = 1.0
) -> list[Fused]:
    """Merge two rankings, best first; a side of weight 0 adds no passages.

    Args:
        dense: Numbers and cosines.
        lexical: Numbers and BM25 scores.
        method: `minmax` adds scores that are stretched to 0..1 over each side's candidates (Fox and Shaw, "Combination
            of Multiple Searches", TREC-2, 1994: CombSUM), `rrf` adds reciprocal ranks.
        dense_weight: 0 to 1, how far the dense side sees.
        lexical_weight: Likewise.
    """
    dense = dense if dense_weight else ()
    lexical = lexical if lexical_weight else ()
    worth = _stretched if method == "minmax" else _reciprocal
    by_dense, by_lexical = worth(dense), worth(lexical)
    # A side that sees alone decides alone, on the same scale.
    share = dense_weight + lexical_weight if method == "minmax" else 1.0
    dense_found = {number: (rank, score) for rank, (number, score) in enumerate(dense, 1)}
    lexical_found = {number: (rank, score) for rank, (number, score) in enumerate(lexical, 1)}
    fused = []
    for number in by_dense | by_lexical:
        both = dense_weight * by_dense.get(number, 0.0) + lexical_weight * by_lexical.get(number, 0.0)
        fused.append(
            Fused(
                number,
                both / share,
                *dense_found.get(number, (None, None)),
                *lexical_found.get(number, (None, None)),
            )
        )
    return sorted(fused, key=lambda hit: (-hit.score, hit.number))


def lexical_weight(query: str, frequencies: Mapping[str, int], count: int, language: str | None = None) -> float:
    """Return how far the lexical side sees the question, 0 to 1.

    If any word of the question, function words included, stands in a tenth of the passages, then they are written in
    its language and the side sees. If none does, its weight is the share of the question's idf that the passages hold
    at all: a name or number inside a question in another script still counts for what it is. Where nearly all words are
    known, as for a few keywords, that share is near 1 again.

    Args:
        query: The question.
        frequencies: In how many passages each of its `document_tokens` stands.
        count: How many passages there are.
        language: Of the question.
    """
    tokens = dict.fromkeys(query_tokens(query, language))
    if not tokens or not count:
        return 0.0
    scripts = script_counts(query)
    main = scripts.most_common(1)[0][0] if scripts else None
    commonest = max((n for token, n in frequencies.items() if script_of(token[0]) == main), default=0)
    if commonest >= COMMON * count:
        return 1.0
    worth = worths(tokens, frequencies, count)
    return sum(value for token, value in worth.items() if frequencies.get(token)) / sum(worth.values())


def _stretched(ranking: Ranking) -> dict[int, float]:
    scores = [score for _, score in ranking]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    # One candidate, or several that are alike, are all best.
    return {number: (score - low) / (high - low) if high > low else 1.0 for number, score in ranking}


def _reciprocal(ranking: Ranking) -> dict[int, float]:
    return {number: 1 / (RRF_K + rank) for rank, (number, _) in enumerate(ranking, 1)}

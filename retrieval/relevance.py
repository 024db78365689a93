"""Says how likely a passage helps with a question, so that "nothing relevant" can be an answer. It orders nothing.

Scores of a fusion compare passages of one search only. This rests on two measures that compare between searches: the
share of the question's words that the passage holds, weighted by how rare they are, and the cosine of the vectors.
"""

import math
from collections.abc import Mapping

from retrieval.tokens import document_tokens, query_tokens

# A logistic curve over both measures, and over coverage alone. The constants were set by hand, on questions that the
# sample documents answer and on others that they do not.
BIAS, COVERAGE, COSINE = -5.0, 5.0, 6.0
BIAS_ALONE, COVERAGE_ALONE = -4.0, 8.0
THRESHOLD = 0.2
"""Below it a passage counts as irrelevant."""


def coverage(query: str, passage: str, frequencies: Mapping[str, int], count: int) -> float:
    """Return the share of the question's words that the passage holds, each worth its idf, 0 to 1.

    Args:
        query: The question.
        passage: With its headings.
        frequencies: In how many passages each of the question's tokens stands.
        count: How many passages there are.
    """
    idf = {token: math.log((count + 1) / (frequencies.get(token, 0) + 0.5)) for token in query_tokens(query)}
    whole = sum(idf.values())
    if whole <= 0:
        return 0.0
    held = set(document_tokens(passage))
    return sum(worth for token, worth in idf.items() if token in held) / whole


def relevance(covered: float, cosine: float | None) -> float:
    """Return the estimated probability that the passage helps, from its coverage and its cosine if it has one."""
    if cosine is None:
        return _sigmoid(BIAS_ALONE + COVERAGE_ALONE * covered)
    return _sigmoid(BIAS + COVERAGE * covered + COSINE * cosine)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))

"""Says how likely a passage helps with a question, so that "nothing relevant" can be an answer. It orders nothing.

Scores of a fusion compare passages of one search only. This rests on two measures that compare between searches: the
share of the question's words that the passage holds, weighted by how rare they are, and the cosine of the vectors.
"""

import math
from collections.abc import Mapping

from retrieval.tokens import document_tokens

# A logistic curve over both measures, and over coverage alone. The constants were set by hand, on questions that the
# sample documents answer and on others that they do not.
BIAS, COVERAGE, COSINE = -5.0, 5.0, 6.0
BIAS_ALONE, COVERAGE_ALONE = -4.0, 8.0
THRESHOLD = 0.2
"""Below it a passage counts as irrelevant."""


def coverage(worth: Mapping[str, float], passage: str) -> float:
    """Return the share of the question's `lexical.worths` that the passage holds with its headings, 0 to 1."""
    whole = sum(worth.values())
    if whole <= 0:
        return 0.0
    held = set(document_tokens(passage))
    return sum(value for token, value in worth.items() if token in held) / whole


def relevance(covered: float, cosine: float | None) -> float:
    """Return the estimated probability that the passage helps, from its coverage and its cosine if it has one."""
    if cosine is None:
        return _sigmoid(BIAS_ALONE + COVERAGE_ALONE * covered)
    return _sigmoid(BIAS + COVERAGE * covered + COSINE * cosine)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))

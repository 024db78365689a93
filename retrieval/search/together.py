"""How far neighbouring words of a question stand together in a passage, in the question's order. It ranks nothing.

After the ordered windows of Metzler and Croft, "A Markov Random Field Model for Term Dependencies", SIGIR 2005. A
heading that names the thing over a text that is about another one holds all the words, too.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from retrieval.terms import Term
from retrieval.tokens import PAIRED, is_unspaced

TOGETHER = 0.3
"""Added to the score of a passage in which all of them do; benchmarks/retrieval_quality.py measures it."""
WITHIN = 4
"""Tokens from the one to the other at most; function words lie between."""


def together(asked: Sequence[Term], tokens: Sequence[str], worth: Mapping[str, float]) -> float:
    """Return the share of the question's neighbouring terms that stand together in the passage, 0 to 1.

    Args:
        asked: The terms, in the question's order; what is written without spaces stands together by itself.
        tokens: Of the passage, in order.
        worth: Of the question's tokens; a pair is worth as much as the commoner of the two.
    """
    words = [term.names[0] if term.names else term.words[0] for term in asked if term.names or term.words]
    pairs = list(pairwise(word for word in words if not is_unspaced(word) and PAIRED not in word))
    if not pairs:
        return 0.0
    places: dict[str, list[int]] = {word: [] for pair in pairs for word in pair}
    for place, token in enumerate(tokens):
        if token in places:
            places[token].append(place)
    whole = got = 0.0
    for first, second in pairs:
        value = min(worth.get(first, 0.0), worth.get(second, 0.0))
        whole += value
        after = set(places[second])
        if any(place + step in after for place in places[first] for step in range(1, WITHIN + 1)):
            got += value
    return got / whole if whole else 0.0

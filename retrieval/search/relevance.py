"""Says how likely a passage helps with a question, so that "nothing relevant" can be an answer. It orders nothing.

Scores of a fusion compare passages of one search only. This rests on two measures that compare between searches: the
share of the question's words that the passage holds, weighted by how rare they are, and the likeness of the vectors.
Constants and threshold are fitted, and judged on collections that they were not fitted on, by benchmarks/relevance.py.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from retrieval.index.lexical import idf
from retrieval.terms import APART, Term, weight
from retrieval.tokens import words_in

if TYPE_CHECKING:
    from retrieval.embedders.embedder import Embedder


Match = Literal["relevant", "weak"]


@dataclass(frozen=True)
class Curve:
    """A logistic curve over what is known of a passage and of the question."""

    bias: float
    coverage: float
    likeness: float
    length: float
    """For the logarithm of how many words the question has: a long one is never covered whole."""
    long_coverage: float
    """For the product of both: of a long question a smaller share says as much."""
    small: float = 0.0
    """For `log_small`: among few passages chance finds less that looks like an answer."""

    def at(self, covered: float, like: float, words: float, count: int) -> float:
        """Return the chance that the passage helps, 0 to 1."""
        length = math.log(max(1, words))
        odds = self.bias + self.coverage * covered + self.likeness * like
        odds += self.length * length + self.long_coverage * length * covered
        # That there are few passages is a reason to show one, and none to be sure of it; it says little for one that
        # shares no word with the question: some vector is the nearest among few passages, too.
        shared = min(1.0, 0.4 + 2 * covered) if self.coverage else 1.0
        shown = min(_sigmoid(odds + self.small * log_small(count) * shared), RELEVANT - 0.01)
        return max(_sigmoid(odds), shown)


RELEVANT = 0.8
"""From here on a passage counts as relevant."""
FEW, MANY = 2, 300
"""Passages up to which a base counts as small, and from which on as large. The curves were fitted on bases of 16 and of
300; in fewer than 16, too, chance finds less (benchmarks/absent_articles.py)."""


def log_small(count: int) -> float:
    """Return the logarithm of how many times fewer than `MANY` passages there are; 0 for a large base."""
    return math.log(MANY / min(MANY, max(FEW, count)))


BOTH = Curve(-3.49, 2.11, 16.95, -3.44, 5.01, 0.68)
"""Where the passage's vector and its words can be compared."""
WORDS = Curve(-6.46, 8.85, 0.0, -0.24, 5.07, 0.55)
"""Where only its words can."""
LIKENESS = Curve(-0.4, 0.0, 11.74, 0.0, 0.0, 0.21)
"""Where only its vector can: the passages are written in another language than the question."""
THRESHOLD = 0.5
"""Below it a passage is left out; between the two it is shown and called weak. Each curve is so placed that of no
collection it was fitted on more than 3 % of the answerable questions get nothing, 10 % by likeness alone."""
LIKELY = 0.65
"""What words alone must say of a passage that the vectors speak against, for it to be shown."""
WHOLE = 0.95
"""Coverage at which the words alone may decide."""
UNSEEN = 1000
"""Everyday passages that are taken for there when a word's rarity is reckoned: a dozen real ones cannot tell what is
rare, and three hundred about one subject not what people say about anything."""

# Each answers the one beside it and none of the others.
_PROBES = {
    "How long does bread have to stay in the oven?": "Bake the loaf for forty minutes, until the crust is dark.",
    "Who painted the ceiling of the chapel?": "Michelangelo painted it from 1508 to 1512, high up on a scaffold.",
    "What does error 17 of the pump mean?": "Error 17 appears when the pump draws air; open the valve and start again.",
    "How many days of leave are left over?": "Up to five days of unused leave may be taken in the following year.",
    "Which river flows through the old town?": "The Vltava crosses the town and passes beneath sixteen bridges.",
    "When was the contract with the supplier signed?": "The agreement was signed on 3 May and runs for two years.",
}


def word_worths(frequencies: Mapping[str, int], count: int, everyday: Mapping[str, float]) -> dict[str, float]:
    """Return what each of a question's tokens counts for in its coverage: the rarer, the more.

    Args:
        frequencies: In how many passages each of them stands.
        count: How many passages there are.
        everyday: In which share of everyday passages each of them stands, as `everyday_words` says.
    """
    return {
        token: idf(frequency + UNSEEN * everyday.get(token, 0.0), count + UNSEEN)
        for token, frequency in frequencies.items()
    }


def coverage(asked: Collection[Term], worth: Mapping[str, float], held: Collection[str]) -> float:
    """Return the share of a question's terms that is among the tokens a passage holds, by their worth, 0 to 1.

    Of a code or a date that stands there in no way of writing, those of its words count that do; of a compound
    `APART` of the share of its parts.

    Args:
        asked: The terms.
        worth: `word_worths` of all their tokens.
        held: The passage's tokens.
    """
    whole = sum(weight(term, worth) for term in asked)
    got = sum(weight(term, worth) if term.held_by(held) else _held_of(term, worth, held) for term in asked)
    return got / whole if whole > 0 else 0.0


def _held_of(term: Term, worth: Mapping[str, float], held: Collection[str]) -> float:
    """Return what the passage has of a term that it does not have whole."""
    if not term.parts:
        return sum(worth[word] for word in term.words if word in held)
    parts = [(worth[part], part in held) for part in term.parts]
    share = sum(one for one, there in parts if there) / max(sum(one for one, _ in parts), 1e-6)
    return APART * weight(term, worth) * share


def length(asked: Collection[Term]) -> float:
    """Return how many words a question's coverage is a share of."""
    return words_in([word for term in asked for word in term.words]) + sum(1 for term in asked if term.names)


def unrelated_cosine(embedder: "Embedder") -> float:
    """Return the mean cosine of questions and passages that have nothing to do with each other.

    It is about 0.07 for MiniLM and 0.75 for multilingual-e5: a cosine means nothing without it.
    """
    questions = [embedder.embed_query(question) for question in _PROBES]
    passages = embedder.embed_documents(list(_PROBES.values()))
    cosines = [
        float(passage @ question)
        for i, question in enumerate(questions)
        for j, passage in enumerate(passages)
        if i != j
    ]  # fmt: skip
    return sum(cosines) / len(cosines)


def likeness(cosine: float, unrelated: float) -> float:
    """Return the cosine on a scale where 0 is `unrelated_cosine` or less and 1 the same text, whatever the embedder.

    That a vector points away says nothing against a passage that holds all the words, such as a code.
    """
    return max(0.0, (cosine - unrelated) / max(1 - unrelated, 1e-6))


def relevance(
    covered: float,
    like: float | None,
    words: float = 4,
    count: int = MANY,
    *,
    lexical_sees: bool = True,
    names_it: bool = False,
) -> float:
    """Return how likely the passage helps, 0 to 1.

    Args:
        covered: Its `coverage`.
        like: Its `likeness`, if it has one.
        words: How many tokens the question's coverage is a share of.
        count: How many passages there are.
        lexical_sees: Whether the passages are in the question's language at all; if not, its words say nothing.
        names_it: Whether it holds a code that the question names. Then it may help, and does across languages: a code
            is the same in all of them.
    """
    if names_it:
        least = THRESHOLD if lexical_sees else RELEVANT
        return max(least, relevance(covered, like, words, count, lexical_sees=lexical_sees))
    by_words = WORDS.at(covered, 0.0, words, count)
    if like is None:
        return by_words
    # A passage of many subjects is near to none of them: what its words by themselves make likely is shown, as weak.
    by_words_alone = min(by_words, RELEVANT - 0.01) if lexical_sees and by_words >= LIKELY else 0.0
    helps = max(BOTH.at(covered, like, words, count), by_words_alone)
    if not lexical_sees:
        # Measured, it cannot tell an answer from another subject across languages: it may say weak, and no more.
        helps = max(helps, min(LIKENESS.at(covered, like, words, count), RELEVANT - 0.01))
    # A code, or a name in another script, need not be near to anything: that all of it is there is enough.
    return max(helps, by_words) if covered >= WHOLE else helps


def match_of(helps: float) -> Match:
    """Return what a passage of this relevance, which is shown, is called."""
    return "relevant" if helps >= RELEVANT else "weak"


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))

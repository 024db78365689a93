"""How likely a model found its own answer: the product of the probabilities of the tokens that it wrote.

It is the softmax of the bare scores, whatever the sampler or the temperature made of them. Shapes: V tokens of the
vocabulary.
"""

import math

import torch


class Confidence:
    """Counts along with one answer."""

    def __init__(self) -> None:
        self._scores: torch.Tensor | None = None
        self._log_probability = 0.0

    def offer(self, scores: torch.Tensor) -> None:
        """Remember the scores (1, V) from which the next token is taken."""
        self._scores = scores[0]

    def take(self, token: int) -> None:
        """Count the token that was taken from them."""
        if self._scores is not None:
            scores = self._scores.float()
            self._log_probability += float(scores[token] - torch.logsumexp(scores, 0))
            self._scores = None

    @property
    def probability(self) -> float:
        """Of the whole answer, its end included; 1 while nothing is written."""
        return math.exp(self._log_probability)

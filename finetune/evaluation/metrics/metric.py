"""What a metric is given, an answer beside the right ones, and what it is. It knows no metric."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune.evaluation.metrics.find_boxes import find_boxes

SHORT_WORDS = 5
"""Most words of an answer that is looked up rather than composed; a Chinese character counts as a word."""
_WORD = re.compile(r"[㐀-鿿぀-ヿ]|[^\W㐀-鿿぀-ヿ]+")


@dataclass(frozen=True)
class Answered:
    """One answer of a model, and the right ones."""

    prediction: str
    answer: str
    """The one that a row names first."""
    references: tuple[str, ...] = ()
    """Further right ones."""

    @property
    def answers(self) -> tuple[str, ...]:
        """All right ones."""
        return (self.answer, *self.references)

    @property
    def names_boxes(self) -> bool:
        """Whether the right answer is places in a picture."""
        return bool(find_boxes(self.answer))

    @property
    def is_short(self) -> bool:
        """Whether the right answer is a word or a few."""
        return len(_WORD.findall(self.answer)) <= SHORT_WORDS


@dataclass(frozen=True)
class Metric:
    """One number an answer, the higher the better."""

    name: str
    """As the command line names it."""
    title: str
    """As a table does."""
    about: str
    """What it is, and against what it compares, in one sentence."""
    fits: Callable[[Answered], bool]
    """Whether a row can be measured by it."""
    score: Callable[[Sequence[Answered]], list[float]]
    """The score of each row; rows that do not fit are not among them."""
    best: float = 100.0
    """The score of a perfect answer."""
    packages: tuple[str, ...] = ()
    """Modules that must be there for it."""


def is_text(row: Answered) -> bool:
    """Return whether the row's right answer is words; boxes are measured as boxes."""
    return not row.names_boxes

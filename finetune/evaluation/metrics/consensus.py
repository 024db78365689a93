r"""CIDEr, how much a caption says what many people say of the same picture.

It is the form that captions are ranked by since COCO's evaluation server, CIDEr-D (R. Vedantam, C. Zitnick, D. Parikh,
"CIDEr: consensus-based image description evaluation", CVPR 2015, section 3 and equation 5), times 100 as papers write
it: a perfect caption has 1,000. The server cuts words with a Java program; here letters are made small, and every run
of letters or digits is a word, Chinese cut by jieba. Loads no model.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from finetune.evaluation.metrics.metric import Answered
from finetune.evaluation.metrics.words import cut

LONGEST = 4
"""Words of the longest sequence that is counted."""
SIGMA = 6.0
"""Of the penalty on another length."""
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_HAN = re.compile(r"[㐀-鿿]")

NGram = tuple[str, ...]


def cider(rows: Sequence[Answered]) -> list[float]:
    r"""Return CIDEr-D of each row, 0 to 1,000; how rare a sequence is, is learned from all rows' right answers.

    With :math:`g^n` the vector of the tf-idf weights of all sequences of n words, and :math:`l` a length in words:

    .. math::
        \frac{1000}{N m} \sum_n \sum_j e^{-(l_c - l_j)^2 / 2 \sigma^2}
        \frac{\min(g^n_c, g^n_j) \cdot g^n_j}{\lVert g^n_c \rVert \lVert g^n_j \rVert}

    over the m right answers j and N = 4 lengths of sequences. Where there is one row all is equally rare, and 0.
    """
    right = [[_counts(answer) for answer in row.answers] for row in rows]
    documents = Counter(ngram for answers in right for ngram in {ngram for counts in answers for ngram in counts})
    rarity = {ngram: math.log(len(rows) / found) for ngram, found in documents.items()}
    unseen = math.log(len(rows)) if rows else 0.0
    scores = []
    for row, answers in zip(rows, right, strict=True):
        said = _Weighed(_counts(row.prediction), rarity, unseen)
        alike = sum(_similarity(said, _Weighed(counts, rarity, unseen)) for counts in answers)
        scores.append(1000 * alike / LONGEST / len(answers))
    return scores


def words(text: str) -> list[str]:
    """Return the words that are compared."""
    found = _WORD.findall(text.lower())
    return [word for run in found for word in (cut(run) if _HAN.search(run) else [run])]


def _counts(text: str) -> Counter[NGram]:
    said = words(text)
    return Counter(
        tuple(said[begin : begin + size]) for size in range(1, LONGEST + 1) for begin in range(len(said) - size + 1)
    )


class _Weighed:
    """The tf-idf vectors of one caption, one a length of sequences."""

    def __init__(self, counts: Mapping[NGram, int], rarity: Mapping[NGram, float], unseen: float) -> None:
        self.length = sum(count for ngram, count in counts.items() if len(ngram) == 1)
        self.vectors: list[dict[NGram, float]] = [{} for _ in range(LONGEST)]
        for ngram, count in counts.items():
            self.vectors[len(ngram) - 1][ngram] = count * rarity.get(ngram, unseen)
        self.norms = [math.sqrt(sum(value * value for value in vector.values())) for vector in self.vectors]


def _similarity(said: _Weighed, right: _Weighed) -> float:
    total = 0.0
    for a, b, norm_a, norm_b in zip(said.vectors, right.vectors, said.norms, right.norms, strict=True):
        if norm_a and norm_b:
            total += sum(min(value, b[ngram]) * b[ngram] for ngram, value in a.items() if ngram in b) / norm_a / norm_b
    return total * math.exp(-((said.length - right.length) ** 2) / (2 * SIGMA**2))

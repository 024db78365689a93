"""BLEU-4 and ROUGE as LLaMA-Factory counts them, so that its numbers and these can stand side by side.

Each answer is held against the row's first right answer alone, further ones are not looked at; the mean over rows is
the result. The definitions are those of its `train/sft/metric.py` (read at commit 158f4cb): characters and NLTK's third
smoothing for BLEU, jieba's words and rouge-chinese's F measure for ROUGE, each row rounded to four places.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

from finetune.evaluation.metrics.metric import Answered
from finetune.evaluation.metrics.words import cut

Rouge = Literal["rouge-1", "rouge-2", "rouge-l"]


def bleu_4(rows: Sequence[Answered]) -> list[float]:
    """Return BLEU-4 of the characters in percent (Papineni et al., 2002; Chen and Cherry, 2014, smoothing 3)."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smooth = SmoothingFunction().method3
    return [
        round(100 * float(sentence_bleu([list(row.answer)], list(row.prediction), smoothing_function=smooth)), 4)
        for row in rows
    ]


def rouge_1(rows: Sequence[Answered]) -> list[float]:
    """Return the F measure of single words in percent (Lin, "ROUGE: a package for automatic evaluation", 2004)."""
    return [_rouge(row.prediction, row.answer)["rouge-1"] for row in rows]


def rouge_2(rows: Sequence[Answered]) -> list[float]:
    """Return that of pairs of words."""
    return [_rouge(row.prediction, row.answer)["rouge-2"] for row in rows]


def rouge_l(rows: Sequence[Answered]) -> list[float]:
    """Return that of the longest common subsequence of words."""
    return [_rouge(row.prediction, row.answer)["rouge-l"] for row in rows]


@lru_cache(65536)
def _rouge(prediction: str, answer: str) -> Mapping[Rouge, float]:
    from rouge_chinese import Rouge as Scorer

    said, right = " ".join(cut(prediction)), " ".join(cut(answer))
    if not said.split() or not right.split():
        return {"rouge-1": 0.0, "rouge-2": 0.0, "rouge-l": 0.0}
    with _depth(len(said.split()) + len(right.split())):
        scores = Scorer().get_scores(said, right)[0]
    return {name: round(100 * value["f"], 4) for name, value in scores.items()}


@contextmanager
def _depth(words: int) -> Iterator[None]:
    """Let rouge-chinese follow a long subsequence: it calls itself once for each word."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, limit + words))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)

"""Measures of short answers: the same words, nearly the same letters, or what many people said.

It loads no model. Longer answers are measured in `overlap` and `consensus`.
"""

import re
import unicodedata
from collections.abc import Sequence

from finetune.evaluation.metrics.metric import Answered

ENOUGH = 4
"""Answers of people from which one can be wholly right: three others must say the same."""
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_ARTICLES = {"a", "an", "the"}
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll let's ma'am mightn't mightn't've might've mustn't
    must've needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll
    what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _without_one(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at, char in enumerate(word) if char == "'"]


_MEANT = {typed: word for word in _CONTRACTIONS.split() for typed in _without_one(word)}


def exact(rows: Sequence[Answered]) -> list[float]:
    """Return 100 for each answer that is one of the right ones, case, gaps and the mark at its end aside, else 0."""
    return [100.0 * (plain(row.prediction) in {plain(answer) for answer in row.answers}) for row in rows]


def plain(text: str) -> str:
    """Return the text as `exact` compares it."""
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return words.rstrip(".!?。 ") or words


def anls(rows: Sequence[Answered]) -> list[float]:
    """Return the normalised Levenshtein similarity to the nearest right answer in percent, 0 below one half.

    A. F. Biten et al., "Scene text visual question answering", ICCV 2019, section 4.1, with its threshold of 0.5,
    which itself counts, as on the DocVQA server; computed by anls-star.
    """
    from anls_star import anls_score

    found: list[float] = []
    for row in rows:
        score = anls_score(row.answers, row.prediction)
        assert isinstance(score, int | float), "a single number where nothing more is asked for"
        found.append(100.0 * score)
    return found


def vqa(rows: Sequence[Answered]) -> list[float]:
    """Return the soft accuracy of each answer in percent: three people who say the same make it wholly right.

    S. Antol et al., "VQA: visual question answering", ICCV 2015, section 3.1, and the mean over leaving out each
    person in turn as visualqa.org computes it.
    """
    return [100 * _agreement(vqa_form(row.prediction), [vqa_form(answer) for answer in row.answers]) for row in rows]


def _agreement(said: str, answers: Sequence[str]) -> float:
    same = sum(answer == said for answer in answers)
    one_of_them, another = min((same - 1) / 3, 1.0), min(same / 3, 1.0)
    return (same * one_of_them + (len(answers) - same) * another) / len(answers)


def vqa_form(text: str) -> str:
    """Return the text as VQA compares it: no marks, no articles, small letters, digits for numbers, apostrophes.

    The rules are those of visualqa.org's evaluation code, which leaves answers as they are where all people said the
    same; here every answer is brought into this form.
    """
    text = " ".join(text.split())
    bare = text
    numbers = _COMMA_IN_NUMBER.search(text) is not None
    for mark in _PUNCTUATION:
        apart = f"{mark} " in text or f" {mark}" in text
        bare = bare.replace(mark, "" if apart or numbers else " ")
    words = [_NUMBERS.get(word, word) for word in _PERIOD.sub("", bare).lower().split()]
    return " ".join(_MEANT.get(word, word) for word in words if word not in _ARTICLES)

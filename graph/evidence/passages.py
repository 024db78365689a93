"""Passages as evidence: written for the model, or quoted in its place. It asks nobody."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.safe_text import printable
from graph.answer import Passage
from graph.prompts import Prompts
from retrieval.tokens import document_tokens, query_tokens

if TYPE_CHECKING:
    from retrieval.records import Hit

MAX_SENTENCES = 2
LEADING = 4
"""Sentences that stand for a document whose whole was asked for."""
_MARK = re.compile(r"\[(\d{1,2})\]")
# A full stop ends a sentence only before a space: v2.4.1 and 3.5 go on. Chinese ones need none.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。!?;])|\n+")
# A line of a page that goes on in the next one: it is long, no row of a table, ends no sentence, and the next begins in
# the middle of one.
_WRAPPED = re.compile(r"^(?!.*[|\t]|.*,\S.*,\S)(.{30,}[^\s.!?:;])\n(?=[a-zß-öø-ÿа-яё])", re.MULTILINE)
_WRAPPED_HAN = re.compile(r"^(?!.*[|\t])(.{15,}[\u4e00-\u9fff,、])\n(?=[\u4e00-\u9fff])", re.MULTILINE)
_ENDED = re.compile(r"[.!?。!?;]['\"”’)」』]*$")


def passage_of(hit: "Hit") -> Passage:
    """Return a hit as it travels through the graph."""
    return Passage(
        id=hit.id,
        source=hit.source,
        page=hit.page,
        start=hit.start,
        end=hit.end,
        text=hit.text,
        score=hit.score,
        relevance=hit.relevance,
        weak=hit.match == "weak",
        headings=hit.headings,
    )


def numbered(passages: Sequence[Passage]) -> str:
    """Write the passages as the prompts have them, one a line.

    A passage stays on its line and numbers no other: it cannot pretend to be the question or a second passage.
    """
    return "\n".join(f"[{number}] {' '.join(_plain(p.text).split())}" for number, p in enumerate(passages, 1))


def with_sources(passages: Sequence[Passage]) -> str:
    """Write the passages with number, file, page and heading, and their lines as they stand, so that tables stay so.

    Each line of a passage is quoted with `> `: it can neither leave the passage nor pretend to be another.
    """
    return "\n".join(
        f"[{number}] {_place(passage)}\n{_lines(passage.text)}" for number, passage in enumerate(passages, 1)
    )


def listed(words: Prompts, passages: Sequence[Passage]) -> str:
    """Write the passages as the model's prompts want them."""
    return with_sources(passages) if words.names_sources else numbered(passages)


def _place(passage: Passage) -> str:
    page = f", page {passage.page}" if passage.page is not None else ""
    heading = " > ".join(" ".join(_plain(heading).split()) for heading in passage.headings)
    weak = ", weak match: it may not answer the question" if passage.weak else ""
    return " ".join(f"{_plain(passage.source)}{page}{f', under {heading!r}' if heading else ''}{weak}".split())


def _lines(text: str) -> str:
    return "\n".join(f"> {line.rstrip()}" for line in _plain(text).splitlines() if line.strip())


def quoted(question: str, passages: Sequence[Passage]) -> str:
    """Answer with the best sentences, each with its passage's number.

    Best is what holds most of the question's words, in a passage that the retrievers scored high; a heading that holds
    them as well says less than a sentence.
    """
    asked = set(query_tokens(question))
    ranked = sorted(
        (-len(asked & set(document_tokens(sentence))) * passage.score, number, place, sentence)
        for number, passage in enumerate(passages, 1)
        for place, sentence in enumerate(sentences(_plain(passage.text)))
    )
    most = ranked[0][0] if ranked else 0
    best = [found for found in ranked if found[0] == most] if most else []
    best = ([found for found in best if _ENDED.search(found[-1])] or best)[:MAX_SENTENCES]
    return " ".join(f"“{sentence}” [{number}]" for _, number, _, sentence in best)


def leading(passages: Sequence[Passage]) -> str:
    """Stand for a whole document with how its passages begin, each sentence with its passage's number.

    Whole sentences, where there are some: the lines before them are headings, and who wrote a mail to whom.
    """
    each = -(-LEADING // max(1, len(passages)))
    step = max(1, len(passages) // LEADING)
    begun = [
        (number, sentence)
        for number, passage in list(enumerate(passages, 1))[::step]
        for sentence in _whole_ones(sentences(_plain(passage.text)))[:each]
    ]
    return " ".join(f"“{sentence}” [{number}]" for number, sentence in begun[:LEADING])


def _whole_ones(parts: list[str]) -> list[str]:
    return [part for part in parts if _ENDED.search(part)] or parts


def sentences(text: str) -> list[str]:
    """Split a passage into sentences and lines; a sentence that a page's edge broke into lines is whole."""
    text = _WRAPPED_HAN.sub(r"\1", _WRAPPED.sub(r"\1 ", text))
    return [" ".join(part.split()) for part in _SENTENCE_END.split(text) if part.strip()]


def _plain(text: str) -> str:
    """Return a passage's words without what cannot be seen and without marks that would pass for ours."""
    return _MARK.sub(r"(\1)", printable(text))

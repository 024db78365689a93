"""How well relevant, weak and nothing are told apart: answerable questions refused, unanswerable ones answered.

`python -m benchmarks.relevance --data FOLDER [--fit]` reads collections as benchmarks/retrieval_quality.py does;
benchmarks/known_sets.py makes those that are not there. A collection's own questions can be answered from it, those of
another subject cannot. Each of the three curves (both sides, words alone, likeness alone) is fitted on all corpora and,
for the column "elsewhere", on all but the one it is judged on. `--fit` prints the constants for
retrieval/search/relevance.py. Samples are small, since the multilingual embedder takes a quarter of a second a passage.
"""

import argparse
import random
import tempfile
from collections.abc import Collection as Collection_
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import publish
from benchmarks.retrieval_quality import Collection, cached, read
from retrieval.embedders.open import open_embedder
from retrieval.index.dense import ExactIndex
from retrieval.index.lexical import TantivyIndex
from retrieval.index.searched_words import language_mark
from retrieval.language import language_of
from retrieval.search.asking import plainly
from retrieval.search.fusion import fuse
from retrieval.search.question import read_question
from retrieval.search.relevance import (
    RELEVANT,
    THRESHOLD,
    coverage,
    length,
    likeness,
    log_small,
    relevance,
    unrelated_cosine,
)
from retrieval.tokens import document_tokens
from retrieval.vectors import Vectors

RUNS = {
    "minilm": ("cranfield", "xquad-en"),
    "multilingual": ("xquad-en", "xquad-zh"),
}
ASKED = {"multilingual": ("drcd", "cmrc2018")}
"""Collections whose questions alone are asked: to embed their passages takes a quarter of an hour."""
ALIKE = {"xquad-zh": "xquad", "xquad-en": "xquad"}
"""Collections that answer each other's questions."""
PASSAGES, SMALL, QUESTIONS, CANDIDATES, TOP_K = 300, 16, 120, 100, 5
REFUSED = {"both": 0.025, "words": 0.03, "likeness": 0.1}
"""Share of any corpus's answerable questions that may get nothing; the curves are placed by it."""

TOLD = {
    "en": (
        "My colleague asked me yesterday during lunch {} and I could not answer him.",
        "Hello! I am new here and still have to find my way around. We talked about it this morning. {}?",
        "In the documents that I gave you, is there anything that says {}?",
        "I have been wondering for a while, and nobody in my team could tell me, {}, do you know?",
    ),
    "zh": (
        "昨天吃午饭的时候同事问我{},我没答上来。",
        "你好!我是新来的,很多事情还不清楚。今天早上我们正好谈到这个。{}?",
        "在我给你的文档里,有没有提到{}?",
        "根据我上传的资料,请回答下面的问题:{}?",
    ),
}
"""How people ask who talk to a search; each question of a collection is also put in one of these ways."""

Row = NDArray[np.float64]
"""(6,): one, coverage, likeness, logarithm of the question's length, its product with coverage, `log_small`."""
Case = tuple[tuple[Row, bool, float], ...]
"""Of a question's best passages: features, whether it is an answer, relevance as shipped."""
FEATURES = 6


@dataclass(frozen=True)
class Group:
    """Questions of one collection asked of another or the same, with the features of what they found."""

    embedder: str
    corpus: str
    questions: str
    answerable: bool
    situation: str
    cases: tuple[Case, ...]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--fit", action="store_true", help="print the constants for retrieval/search/relevance.py")
    arguments = parser.parse_args()
    groups = [group for name, sets in RUNS.items() for group in gather(arguments.data, name, sets, ASKED.get(name, ()))]
    if arguments.fit:
        for situation in ("both", "words", "likeness"):
            weights = fitted([g for g in groups if g.situation == situation], situation)
            print(situation, np.round(weights, 2).tolist())
    publish(
        "relevance",
        "Share of questions in %: nothing shown, and shown as relevant",
        [row(group, groups) for group in groups if len(group.cases) >= 20],
        passages=PASSAGES,
    )


def reduced(collection: Collection, passages: int, questions: int) -> Collection:
    """Take a sample of the questions, a best answer of each, and of the other passages as many as may be."""
    chance = random.Random(1)
    asked = sorted(chance.sample(range(len(collection.questions)), min(questions, len(collection.questions))))
    answers = {int(max(collection.relevant[i], key=collection.relevant[i].__getitem__)) for i in asked}
    others = [place for place in range(len(collection.passages)) if place not in answers]
    kept = sorted(answers | set(chance.sample(others, max(0, min(len(others), passages - len(answers))))))
    places = {str(old): str(new) for new, old in enumerate(kept)}
    return Collection(
        collection.name,
        [collection.passages[place] for place in kept],
        [collection.questions[i] for i in asked],
        [{places[p]: score for p, score in collection.relevant[i].items() if p in places} for i in asked],
    )


def told(collection: Collection) -> Collection:
    """Put each question as somebody might who talks to the search."""
    ways = TOLD["zh" if language_of(collection.passages[0]) == "zh" else "en"]
    put = [ways[n % len(ways)].format(text.rstrip(" ?.？。")) for n, text in enumerate(collection.questions)]
    return replace(collection, questions=put)


def gather(data: Path, name: str, sets: Sequence[str], asked_only: Sequence[str]) -> Iterator[Group]:
    """Ask every collection's questions of every collection, with both sides and with words alone."""
    embedder = open_embedder(name, threads=1)
    unrelated = unrelated_cosine(embedder)
    collections = {one: reduced(read(data / one, data / one), PASSAGES, QUESTIONS) for one in sets}

    def ask(texts: list[str]) -> Vectors:
        return np.stack([embedder.embed_query(plainly(text)) for text in texts])

    others = {one: reduced(read(data / one, data / one), PASSAGES, QUESTIONS) for one in asked_only}
    asking = collections | others
    asking |= {f"{one}, told": told(c) for one, c in asking.items()}
    passages = {
        one: cached("passages", embedder, c.passages, embedder.embed_documents) for one, c in collections.items()
    }
    questions = {one: cached("questions", embedder, c.questions, ask) for one, c in asking.items()}
    for corpus, collection in collections.items():
        for size in (PASSAGES, SMALL):
            step = -(-len(collection.passages) // size)
            parts = [range(first, len(collection.passages), step) for first in range(step)]
            bases = [Base.of(collection, passages[corpus], part) for part in parts]
            for asked, other in asking.items():
                subject = asked.partition(",")[0]
                answerable = ALIKE.get(subject, subject) == ALIKE.get(corpus, corpus)
                found = ask_all(bases, other, questions[asked], unrelated, answerable=answerable)
                label = corpus if size == PASSAGES else f"{corpus} by {size}"
                for situation, cases in found.items():
                    if situation != "blind":
                        yield Group(name, label, asked, answerable, situation, tuple(cases))
            for base in bases:
                base.close()


def ask_all(
    bases: "Sequence[Base]", asked: Collection, vectors: Vectors, unrelated: float, *, answerable: bool
) -> dict[str, list[Case]]:
    """Ask each question of the base that holds its best answer, or of any; cases by situation."""
    found: dict[str, list[Case]] = {}
    for place, text in enumerate(asked.questions):
        judged = asked.relevant[place]
        best = int(max(judged, key=judged.__getitem__))
        base = next((one for one in bases if answerable and best in one.places), bases[place % len(bases)])
        answers = set(map(int, judged)) if answerable else set()
        for vector in (vectors[place], None):
            situation, case = look(base, text, vector, answers, unrelated)
            found.setdefault(situation, []).append(case)
    return found


@dataclass(frozen=True)
class Base:
    """Some passages of a collection, indexed."""

    places: dict[int, int]
    """Of each passage in the collection, its number here."""
    lexical: TantivyIndex
    exact: ExactIndex
    folder: "tempfile.TemporaryDirectory[str]"

    @classmethod
    def of(cls, collection: Collection, vectors: Vectors, kept: Sequence[int]) -> "Base":
        """Index these passages."""
        folder = tempfile.TemporaryDirectory()
        lexical, exact = TantivyIndex(Path(folder.name)), ExactIndex(vectors.shape[1])
        texts = [collection.passages[place] for place in kept]
        spoken = [language_of(text) for text in texts]
        numbers = range(1, len(texts) + 1)
        lexical.add(
            numbers,
            [document_tokens(*pair) for pair in zip(texts, spoken, strict=True)],
            [[language_mark(language)] for language in spoken],
        )
        lexical.commit(1)
        exact.add(numbers, vectors[list(kept)])
        return cls(dict(zip(kept, numbers, strict=True)), lexical, exact, folder)

    def close(self) -> None:
        """Let go of the files."""
        self.lexical.close()
        self.folder.cleanup()


def look(
    base: Base, text: str, vector: Vectors | None, answers: Collection_[int], unrelated: float
) -> tuple[str, Case]:
    """Search as `retrieval.search.search` does, up to its judgement; the situation and the best passages."""
    question = read_question(text, base.lexical)
    by_vector = [] if vector is None else base.exact.search(vector, CANDIDATES)
    by_words = base.lexical.search(question.words, CANDIDATES)
    weights = {"dense_weight": float(bool(by_vector)), "lexical_weight": question.lexical_weight}
    fused = fuse(by_vector, by_words, method="minmax", **weights)[:TOP_K]
    held = base.lexical.held([hit.number for hit in fused])
    right = {base.places[answer] for answer in answers if answer in base.places}
    small = log_small(base.lexical.count)
    case = []
    for hit in fused:
        cosine = (by_vector[-1][1] if by_vector else None) if hit.dense_score is None else hit.dense_score
        like = None if cosine is None else likeness(cosine, unrelated)
        judged = []
        for asked in question.readings:
            covered, words = coverage(asked, question.worth, frozenset(held[hit.number].body)), length(asked)
            helps = relevance(covered, like, words, base.lexical.count, lexical_sees=question.readable)
            long = float(np.log(max(1, words)))
            judged.append((helps, [1.0, covered, like or 0.0, long, long * covered, small]))
        helps, features = max(judged)
        case.append((np.array(features), hit.number in right, helps))
    if vector is None:
        return "words" if question.readable else "blind", tuple(case)
    return "both" if question.readable else "likeness", tuple(case)


USED = {"both": [0, 1, 2, 3, 4, 5], "words": [0, 1, 3, 4, 5], "likeness": [0, 2, 5]}
"""Which features a curve weighs."""


def fitted(groups: Sequence[Group], situation: str) -> Row:
    """Fit a curve that tells the best answer of answerable questions from the best of the others.

    Which passage is best depends on the curve, so both are found in turns. Each group counts alike, and both kinds of
    question count alike. The bias is then moved to where of no collection's plain questions about all of its passages
    more than `REFUSED` is refused.
    """
    used = USED[situation]
    weights = np.zeros(FEATURES)
    weights[[0, 1, 2]] = -3.0, 5.0, 5.0
    groups = [g for g in groups if len(g.cases) >= 20]
    for _ in range(8):
        rows, labels, counts = [], [], []
        for group in groups:
            best = list(best_of(group, weights))
            rows += [features[used] for features in best]
            labels += [float(group.answerable)] * len(best)
            counts += [1 / len(best)] * len(best)
        found = np.zeros(FEATURES)
        found[used] = logistic(np.array(rows), np.array(labels), np.array(counts), weights[used])
        weights = found
    answered = [g for g in groups if g.answerable and " " not in g.corpus + g.questions]
    shown = [[max((float(weights @ f) for f, _, _ in case), default=0.0) for case in g.cases] for g in answered]
    cuts = [np.quantile(best, REFUSED[situation]) for best in shown]
    weights[0] -= min(cuts)
    return weights


def best_of(group: Group, weights: Row) -> Iterator[Row]:
    """Yield for each question its best passage, of answerable ones the best answer, where one was found."""
    for case in group.cases:
        rows = [features for features, is_answer, _ in case if is_answer or not group.answerable]
        if rows:
            yield max(rows, key=lambda features: float(weights @ features))


def logistic(rows: NDArray[np.float64], labels: Row, counts: Row, weights: Row) -> Row:
    """Return maximum-likelihood weights by Newton's method, both labels weighing the same, with a touch of ridge."""
    for label in (0.0, 1.0):
        counts[labels == label] *= 500 / counts[labels == label].sum()
    for _ in range(30):
        chances = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (labels - chances)) - 1e-3 * weights
        bend = (rows * (counts * chances * (1 - chances))[:, None]).T @ rows + 1e-3 * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def row(group: Group, groups: Sequence[Group]) -> dict[str, object]:
    """Return a table row."""
    corpus = group.corpus.partition(" ")[0]
    others = [g for g in groups if g.situation == group.situation and g.corpus.partition(" ")[0] != corpus]
    trained = {g.answerable for g in others if len(g.cases) >= 20} == {True, False}
    elsewhere = fitted(others, group.situation) if trained else None
    best = [max((helps for _, _, helps in case), default=0.0) for case in group.cases]
    lost = [[helps for _, is_answer, helps in case if is_answer] for case in group.cases]
    lost = [answers for answers in lost if answers]
    return {
        "passages": group.corpus,
        "questions": group.questions,
        "embedder": group.embedder,
        "sides": group.situation,
        "asked": len(group.cases),
        "should be": "answered" if group.answerable else "refused",
        "nothing, fitted elsewhere": None
        if elsewhere is None
        else share(max((float(elsewhere @ f) for f, _, _ in case), default=-1.0) < 0 for case in group.cases),
        "nothing": share(helps < THRESHOLD for helps in best),
        "relevant": share(helps >= RELEVANT for helps in best),
        "answers lost": share(max(answers) < THRESHOLD for answers in lost) if group.answerable else None,
    }


def share(told: Iterator[bool]) -> float | None:
    """Return how many are true, in %."""
    values = list(told)
    return round(100 * sum(values) / len(values), 1) if values else None


if __name__ == "__main__":
    main()

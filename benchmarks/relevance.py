"""How well "nothing relevant" is told: answerable questions refused, unanswerable ones answered, by collection.

`python -m benchmarks.relevance --data FOLDER [--embedder minilm] [--passages N] [--questions N] [--fit]` reads the
collections of benchmarks/retrieval_quality.py. A collection's own questions can be answered from it, another's cannot,
and neither can its own once their answers are taken out; these are the hard ones. All are also asked of slices of 12
passages, since most knowledge bases are small and know little of which words are rare.

Three rules are compared: the constants set by hand that the product began with, those fitted on the other collections
alone, and those that `retrieval.search.relevance` ships, which are fitted on all; `--fit` prints them.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import publish
from benchmarks.retrieval_quality import Collection, cached, read, slug
from retrieval.embedders.embedder import Embedder
from retrieval.embedders.open import open_embedder
from retrieval.index.dense import ExactIndex
from retrieval.index.lexical import TantivyIndex, worths
from retrieval.search.fusion import fuse, lexical_weight
from retrieval.search.relevance import BOTH, THRESHOLD, WORDS, coverage, likeness, unrelated_cosine, word_worths
from retrieval.tokens import document_tokens, query_tokens
from retrieval.vectors import Vectors

SETS = ("cranfield", "cmrc2018", "xquad-en")
# Cranfield's judges also marked what helps but little, so that of a random dozen most "answers" answer nothing.
SLICED = ("cmrc2018", "xquad-en")
SLICES, SLICE, ASKED = 25, 12, 10
CANDIDATES, TOP_K = 100, 5
LOST = 0.03
"""Share of any collection's answerable questions that may lose their answer; the threshold follows from it."""

Weights = NDArray[np.float64]
"""(3,): bias, coverage, likeness."""


@dataclass(frozen=True)
class Passage:
    """What the rules see of a passage that was found."""

    covered: float
    covered_before: float
    """As the product began: rarity from the real passages alone."""
    cosine: float | None
    cosine_before: float | None
    """None where only words found it; now the last cosine among the candidates stands for it."""
    is_answer: bool


@dataclass(frozen=True)
class Group:
    """Questions of one collection, asked of another or the same, and the best passages of each."""

    corpus: str
    questions: str
    kind: str
    """answerable, answer taken out, or other subject."""
    sliced: bool
    dense: bool
    cases: tuple[tuple[Passage, ...], ...]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--embedder", default="minilm", help="as in the settings")
    parser.add_argument("--passages", type=int, default=2000, help="of each collection at most")
    parser.add_argument("--questions", type=int, default=400, help="of each collection at most")
    parser.add_argument("--fit", action="store_true", help="print the constants for retrieval/search/relevance.py")
    arguments = parser.parse_args()
    embedder = open_embedder(arguments.embedder)
    collections = {
        name: reduced(read(arguments.data / name, arguments.data / name), arguments.passages, arguments.questions)
        for name in SETS
    }
    unrelated = unrelated_cosine(embedder)
    groups = list(gather(collections, embedder))
    if arguments.fit:
        for dense in (True, False):
            print("both sides" if dense else "words", fitted([g for g in groups if g.dense == dense], unrelated))
    publish(
        "relevance" + ("" if arguments.embedder == "minilm" else "_" + slug(arguments.embedder)),
        f'Refused as "nothing relevant", in %, embedder {arguments.embedder}',
        [
            row(merged, groups, unrelated)
            for merged in by_subject(groups)
            if merged.dense or arguments.embedder == "minilm"  # words alone are the same with every embedder
        ],
        embedder=embedder.fingerprint,
        unrelated_cosine=round(unrelated, 3),
        passages={name: len(collection.passages) for name, collection in collections.items()},
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


def gather(collections: dict[str, Collection], embedder: Embedder) -> Iterator[Group]:
    """Ask every collection's questions of every collection, with both sides and with words alone."""
    vectors: dict[str, tuple[Vectors, Vectors]] = {}
    for name, collection in collections.items():
        vectors[name] = (
            cached("passages", embedder, collection.passages, embedder.embed_documents),
            cached("questions", embedder, collection.questions, lambda texts: np.stack(
                [embedder.embed_query(text) for text in texts])),
        )  # fmt: skip
    for corpus in collections:
        bench = Bench(collections, vectors, embedder, corpus)
        yield from bench.whole()
        if corpus in SLICED:
            yield from bench.sliced()


class Bench:
    """One collection as a corpus, and all questions."""

    def __init__(
        self,
        collections: dict[str, Collection],
        vectors: dict[str, tuple[Vectors, Vectors]],
        embedder: Embedder,
        corpus: str,
    ) -> None:
        self._collections, self._vectors, self._embedder, self._corpus = collections, vectors, embedder, corpus
        self._tokens = [document_tokens(passage) for passage in collections[corpus].passages]
        self._held = [frozenset(tokens) for tokens in self._tokens]

    def whole(self) -> Iterator[Group]:
        """Ask of the whole collection."""
        everything = list(range(len(self._tokens)))
        for asked, collection in self._collections.items():
            for dense in self._sides(collection):
                questions = list(range(len(collection.questions)))
                cases = tuple(self._ask(everything, asked, questions, dense))
                yield Group(self._corpus, asked, self._kind(asked), False, dense, cases)
                if asked == self._corpus:
                    cases = tuple(self._ask(everything, asked, questions, dense, without_answers=True))
                    yield Group(self._corpus, asked, "answer taken out", False, dense, cases)

    def sliced(self) -> Iterator[Group]:
        """Ask of small random parts of it."""
        for asked, collection in self._collections.items():
            for dense in self._sides(collection):
                chance = random.Random(2)
                cases: list[tuple[Passage, ...]] = []
                for _ in range(SLICES):
                    members = sorted(chance.sample(range(len(self._tokens)), SLICE))
                    questions = list(range(len(collection.questions)))
                    if asked == self._corpus:
                        inside = set(map(str, members))
                        questions = [i for i in questions if inside & collection.relevant[i].keys()]
                    chosen = chance.sample(questions, min(ASKED, len(questions)))
                    cases += self._ask(members, asked, chosen, dense)
                yield Group(self._corpus, asked, self._kind(asked), True, dense, tuple(cases))

    def _kind(self, asked: str) -> str:
        return "answerable" if asked == self._corpus else "other subject"

    def _sides(self, collection: Collection) -> tuple[bool, ...]:
        return (True, False) if self._embedder.knows("".join(collection.questions)) else (False,)

    def _ask(
        self,
        members: Sequence[int],
        asked: str,
        questions: Sequence[int],
        dense: bool,
        *,
        without_answers: bool = False,
    ) -> Iterator[tuple[Passage, ...]]:
        with tempfile.TemporaryDirectory() as folder:
            lexical, exact = TantivyIndex(Path(folder)), ExactIndex(self._embedder.dimension)
            lexical.add(members, [self._tokens[member] for member in members])
            lexical.commit(1)
            exact.add(members, self._vectors[self._corpus][0][list(members)])
            for question in questions:
                collection = self._collections[asked]
                answers = set(map(int, collection.relevant[question])) if asked == self._corpus else set()
                allowed = set(members) - answers if without_answers else None
                vector = self._vectors[asked][1][question] if dense else None
                yield self._found(lexical, exact, collection.questions[question], vector, answers, allowed)
            lexical.close()

    def _found(
        self,
        lexical: TantivyIndex,
        exact: ExactIndex,
        text: str,
        vector: Vectors | None,
        answers: set[int],
        allowed: set[int] | None,
    ) -> tuple[Passage, ...]:
        """Search as `retrieval.search.search` does, up to its judgement."""
        frequencies, tokens = lexical.frequencies(document_tokens(text)), query_tokens(text)
        by_vector = [] if vector is None else exact.search(vector, CANDIDATES, allowed)
        weight = lexical_weight(text, frequencies, lexical.count)
        by_words = lexical.search(tokens, CANDIDATES, allowed)
        fused = fuse(by_vector, by_words, method="minmax", dense_weight=float(bool(by_vector)), lexical_weight=weight)
        now = word_worths(tokens, frequencies, lexical.count)
        before = worths(tokens, frequencies, lexical.count)
        last = by_vector[-1][1] if by_vector else None
        return tuple(
            Passage(
                coverage(now, self._held[hit.number]),
                coverage(before, self._held[hit.number]),
                last if hit.dense_score is None else hit.dense_score,
                hit.dense_score,
                hit.number in answers,
            )
            for hit in fused[:TOP_K]
        )


def before(passage: Passage) -> float:
    """Return how far above its threshold of .2 the rule set by hand saw a passage, as log-odds."""
    if passage.cosine_before is None:
        margin = -4.0 + 8.0 * passage.covered_before
    else:
        margin = -5.0 + 5.0 * passage.covered_before + 6.0 * passage.cosine_before
    return margin - float(np.log(0.2 / 0.8))


def shipped(unrelated: float) -> Callable[[Passage], float]:
    """Return the product's rule as log-odds above its threshold."""

    def margin(passage: Passage) -> float:
        curve = WORDS if passage.cosine is None else BOTH
        like = 0.0 if passage.cosine is None else likeness(passage.cosine, unrelated)
        odds = curve.bias + curve.coverage * passage.covered + curve.likeness * like
        return odds - float(np.log(THRESHOLD / (1 - THRESHOLD)))

    return margin


def by_weights(weights: Weights, unrelated: float) -> Callable[[Passage], float]:
    """Return a fitted rule."""
    return lambda passage: float(weights @ features(passage, unrelated))


def features(passage: Passage, unrelated: float) -> Weights:
    """Return what the curve weighs, (3,)."""
    like = 0.0 if passage.cosine is None else likeness(passage.cosine, unrelated)
    return np.array([1.0, passage.covered, like])


def fitted(groups: Sequence[Group], unrelated: float) -> Weights:
    """Fit a logistic curve that tells the best answer of answerable questions from the best of the others.

    Which passage is best depends on the curve, so both are found in turns. Each group counts alike, and both kinds of
    question count alike. The bias is then moved to where no group of answerable ones loses more than `LOST` of them.
    """
    weights = np.array([-3.0, 5.0, 5.0])
    told = [group for group in groups if group.kind != "answer taken out"]
    for _ in range(10):
        rows, labels, counts = [], [], []
        for group in told:
            best = list(best_of(group, weights, unrelated))
            rows += best
            labels += [float(group.kind == "answerable")] * len(best)
            counts += [1 / len(best) if best else 0.0] * len(best)
        weights = logistic(np.array(rows), np.array(labels), np.array(counts), weights)
    cuts = [
        np.quantile([weights @ best for best in best_of(group, weights, unrelated)], LOST)
        for group in told
        if group.kind == "answerable"
    ]
    weights[0] -= min(cuts)
    return weights


def best_of(group: Group, weights: Weights, unrelated: float) -> Iterator[Weights]:
    """Yield for each question its best passage, of answerable ones the best answer, where one was found."""
    for case in group.cases:
        rows = [features(p, unrelated) for p in case if p.is_answer or group.kind != "answerable"]
        if rows:
            yield max(rows, key=lambda row: float(weights @ row))


def logistic(rows: NDArray[np.float64], labels: Weights, counts: Weights, weights: Weights) -> Weights:
    """Return maximum-likelihood weights by Newton's method, both labels weighing the same, with a touch of ridge."""
    for label in (0.0, 1.0):
        counts[labels == label] *= 500 / counts[labels == label].sum()
    for _ in range(30):
        chances = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (labels - chances)) - 1e-3 * weights
        bend = (rows * (counts * chances * (1 - chances))[:, None]).T @ rows + 1e-3 * np.eye(3)
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def by_subject(groups: Sequence[Group]) -> Iterator[Group]:
    """Put the questions of all other collections together."""
    keys = {(g.corpus, g.sliced, g.dense, g.kind): None for g in groups}
    for corpus, sliced, dense, kind in keys:
        alike = [g for g in groups if (g.corpus, g.sliced, g.dense, g.kind) == (corpus, sliced, dense, kind)]
        cases = tuple(case for group in alike for case in group.cases)
        yield Group(corpus, " and ".join(group.questions for group in alike), kind, sliced, dense, cases)


def row(group: Group, groups: Sequence[Group], unrelated: float) -> dict[str, object]:
    """Return a table row."""
    others = [
        g for g in groups if g.dense == group.dense and group.corpus not in (g.corpus, g.questions)
    ]  # fmt: skip
    trained = any(g.kind == "answerable" for g in others) and any(g.kind == "other subject" for g in others)
    held_out = by_weights(fitted(others, unrelated), unrelated) if trained else None
    rule = shipped(unrelated)
    return {
        "passages": group.corpus + (f", {SLICE} at a time" if group.sliced else ""),
        "questions": group.kind,
        "sides": "both" if group.dense else "words",
        "asked": len(group.cases),
        "should be": "answered" if group.kind == "answerable" else "refused",
        "by hand": refused(group, before),
        "fitted elsewhere": held_out and refused(group, held_out),
        "shipped": refused(group, rule),
        "answers lost": lost(group, rule) if group.kind == "answerable" else None,
    }


def refused(group: Group, rule: Callable[[Passage], float]) -> float:
    """Return the share of questions of which no passage is left, in %."""
    return round(100 * sum(all(rule(p) < 0 for p in case) for case in group.cases) / len(group.cases), 1)


def lost(group: Group, rule: Callable[[Passage], float]) -> float:
    """Return the share of questions whose answers were found and all left out, in %."""
    answered = [[p for p in case if p.is_answer] for case in group.cases]
    answered = [answers for answers in answered if answers]
    return round(100 * sum(all(rule(p) < 0 for p in answers) for answers in answered) / len(answered), 1)


if __name__ == "__main__":
    main()

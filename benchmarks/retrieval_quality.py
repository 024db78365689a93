"""How good the passages are: nDCG@10 and Recall@100 by stage, beside what people use instead, in one run.

`python -m benchmarks.retrieval_quality --data FOLDER [--sets cranfield,...] [--embedder minilm]` reads collections in
the BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv). Of more than 1,190 questions it takes the first 1,000 of a
shuffle with seed 0. `xquad-zh@xquad-en` asks one set's questions of another's passages, where both exist. Vectors are
kept in build/retrieval_quality/, since embedding is most of the work. `--embedder none` measures the lexical side only,
as the product does in languages that its embedder does not know.
"""

import argparse
import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import publish
from retrieval.embedders.embedder import Embedder
from retrieval.embedders.open import open_embedder
from retrieval.everyday_words import share_of_passages
from retrieval.index.dense import ExactIndex
from retrieval.index.lexical import TantivyIndex
from retrieval.index.searched_words import STRAY
from retrieval.language import SNOWBALL, UNKNOWN, language_of, languages_of
from retrieval.search.asking import plainly
from retrieval.search.fusion import Ranking, fuse, lexical_weight
from retrieval.search.judging import HOLDS_ALL
from retrieval.search.relevance import WHOLE, coverage, word_worths
from retrieval.search.search import TIED
from retrieval.search.together import TOGETHER, together
from retrieval.terms import Term, terms
from retrieval.tokens import document_tokens, query_tokens
from retrieval.vectors import Vectors

CACHE = Path(__file__).parent.parent / "build" / "retrieval_quality"
SETS = "cranfield,cmrc2018,xquad-en,xquad-zh@xquad-en"
ALL_UP_TO = 1190
SAMPLE = 1000
CANDIDATES = 100
LOOKED_AT = 10 + TIED


@dataclass(frozen=True)
class Collection:
    """Passages, questions, and which passage answers which."""

    name: str
    passages: list[str]
    questions: list[str]
    relevant: list[dict[str, int]]
    """By question: passage's index, as the evaluator wants it, and how relevant it is."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--embedder", default="minilm", help="as in the settings, or none")
    parser.add_argument("--no-langchain", action="store_true", help="leave out the slow peer")
    arguments = parser.parse_args()
    embedder = None if arguments.embedder == "none" else open_embedder(arguments.embedder)
    rows: list[dict[str, object]] = []
    for name in arguments.sets.split(","):
        questions, _, passages = name.rpartition("@")
        if not all((arguments.data / part).is_dir() for part in (questions or passages, passages)):
            print(f"{name}: not in {arguments.data.name}, left out")
            continue
        collection = read(arguments.data / passages, arguments.data / (questions or passages))
        rows += measure(collection, embedder, langchain=not arguments.no_langchain)
    publish(
        "retrieval_quality"
        + ("_words" if embedder is None else "" if arguments.embedder == "minilm" else "_" + slug(arguments.embedder)),
        f"nDCG@10 and Recall@100, embedder {arguments.embedder}",
        rows,
        embedder=embedder.fingerprint if embedder else None,
    )


def read(corpus: Path, asked: Path) -> Collection:
    """Read a collection; a passage is its title and its text, for us and for the peers."""
    documents = [json.loads(line) for line in (corpus / "corpus.jsonl").read_text("utf-8").splitlines()]
    places = {document["_id"]: str(place) for place, document in enumerate(documents)}
    judged: dict[str, dict[str, int]] = {}
    for line in (asked / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        question, document, score = line.split("\t")
        judged.setdefault(question, {})[places[document]] = int(score)
    questions = [json.loads(line) for line in (asked / "queries.jsonl").read_text("utf-8").splitlines()]
    questions = [question for question in questions if question["_id"] in judged]
    if len(questions) > ALL_UP_TO:
        random.Random(0).shuffle(questions)
        questions = questions[:SAMPLE]
    return Collection(
        corpus.name if corpus == asked else f"{asked.name}@{corpus.name}",
        [f"{document.get('title', '')}\n{document['text']}".strip() for document in documents],
        [question["text"] for question in questions],
        [judged[question["_id"]] for question in questions],
    )


def measure(collection: Collection, embedder: Embedder | None, *, langchain: bool) -> list[dict[str, object]]:
    """Return a row for each way to search the collection."""
    languages = [language_of(passage) for passage in collection.passages]
    lexical, weights, raised = search_lexically(collection, languages)
    runs: dict[str, Sequence[Ranking]] = {"lexical": lexical}
    if embedder is None:
        alone = [fused((), words, "minmax", 0.0, 1.0) for words in lexical]
        runs["product default"] = [reordered(*pair) for pair in zip(alone, raised, strict=True)]
    if embedder is not None:
        dense = search_densely(collection, embedder)
        held = held_languages(languages)
        sees = [float(embedder.knows(q, next(iter(languages_of(q, held)), None))) for q in collection.questions]
        runs["dense"] = dense
        for method in ("rrf", "minmax"):
            runs[f"{method}, both sides always"] = [
                fused(d, x, method, 1.0, 1.0) for d, x in zip(dense, lexical, strict=True)
            ]
        runs["product default"] = [
            reordered(fused(d, x, "minmax", see, weight), raise_of)
            for d, x, see, weight, raise_of in zip(dense, lexical, sees, weights, raised, strict=True)
        ]
    runs["peer: rank-bm25, whitespace"] = rank_bm25(collection)
    if (main := Counter(languages).most_common(1)[0][0]) in SNOWBALL:
        runs["peer: bm25s, the language's stemmer"] = bm25s_stemmed(collection, SNOWBALL[main])
    if embedder is not None and langchain:
        runs["peer: LangChain EnsembleRetriever"] = ensemble(collection, embedder)
    rows = []
    for way, rankings in runs.items():
        ndcg, recall = judge(collection, rankings)
        rows.append({"set": collection.name, "way": way, "nDCG@10": round(ndcg, 4), "Recall@100": round(recall, 4)})
    return rows


def search_lexically(
    collection: Collection, languages: Sequence[str]
) -> tuple[list[Ranking], list[float], list[Callable[[int], float]]]:
    """Return what our lexical side finds, how much fusion trusts it, and what is added to a passage's score."""
    tokens = [document_tokens(*pair) for pair in zip(collection.passages, languages, strict=True)]
    held_by = [frozenset(words) for words in tokens]

    def raising(asked: Sequence[Term], worth: Mapping[str, float]) -> Callable[[int], float]:
        def raise_of(number: int) -> float:
            whole = HOLDS_ALL if coverage(asked, worth, held_by[number]) >= WHOLE else 0.0
            return whole + TOGETHER * together(asked, tokens[number], worth)

        return raise_of

    raised: list[Callable[[int], float]] = []
    with tempfile.TemporaryDirectory() as folder:
        index = TantivyIndex(Path(folder))
        index.add(range(len(collection.passages)), tokens)
        index.commit(1)
        found: list[Ranking] = []
        held = held_languages(languages)
        weights = []
        for question in collection.questions:
            language = next(iter(languages_of(question, held)), None)
            plain = plainly(question)
            found.append(index.search(query_tokens(plain, language), CANDIDATES))
            frequencies = index.frequencies(document_tokens(question, language))
            weights.append(lexical_weight(question, frequencies, index.count, language))
            everyday = {token: share_of_passages(token, language) for token in frequencies}
            raised.append(raising(terms(plain, language), word_worths(frequencies, index.count, everyday)))
        index.close()
    return found, weights, raised


def held_languages(languages: Sequence[str]) -> list[str]:
    """Return those of the passages that are more than a stray one's, as the product takes them from its index."""
    return [one for one, n in Counter(languages).most_common() if one != UNKNOWN and n >= STRAY * len(languages)]


def search_densely(collection: Collection, embedder: Embedder) -> list[Ranking]:
    """Return what the embedder finds; exact, so that the index's own losses are not counted."""
    passages = cached("passages", embedder, collection.passages, embedder.embed_documents)
    questions = cached(
        "questions",
        embedder,
        collection.questions,
        lambda texts: np.stack([embedder.embed_query(plainly(t)) for t in texts]),
    )
    index = ExactIndex(embedder.dimension)
    index.add(range(len(passages)), passages)
    return [index.search(question, CANDIDATES) for question in questions]


def cached(kind: str, embedder: Embedder, texts: list[str], embed: Callable[[list[str]], Vectors]) -> Vectors:
    """Embed, or read what an earlier run with the same texts and weights has embedded."""
    key = hashlib.sha256("\0".join([kind, embedder.fingerprint, *texts]).encode()).hexdigest()[:24]
    file = CACHE / f"{key}.npy"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(file, embed(texts))
    return np.asarray(np.load(file), np.float32)


def fused(dense: Ranking, lexical: Ranking, method: str, dense_weight: float, lexical_weight: float) -> Ranking:
    """Fuse and cut to the candidates' number."""
    assert method in ("minmax", "rrf"), "the two ways there are"
    hits = fuse(dense, lexical, method=method, dense_weight=dense_weight, lexical_weight=lexical_weight)  # type: ignore[arg-type]
    return [(hit.number, hit.score) for hit in hits[:CANDIDATES]]


def reordered(ranking: Ranking, raise_of: Callable[[int], float]) -> Ranking:
    """Return the ranking with its first ones in the order that the product shows them in."""
    first, rest = list(ranking[:LOOKED_AT]), list(ranking[LOOKED_AT:])
    again = sorted(((number, score + raise_of(number)) for number, score in first), key=lambda pair: -pair[1])
    # The evaluator sorts by score: what was raised above nothing must stay above what was not looked at.
    return [*((number, score + 1) for number, score in again), *rest]


def rank_bm25(collection: Collection) -> list[Ranking]:
    """Search as rank-bm25's README does."""
    from rank_bm25 import BM25Okapi

    bm25 = BM25Okapi([passage.split(" ") for passage in collection.passages])
    found: list[Ranking] = []
    for question in collection.questions:
        scores = bm25.get_scores(question.split(" "))
        best = np.argsort(-scores, kind="stable")[:CANDIDATES]
        found.append([(int(place), float(scores[place])) for place in best])
    return found


def bm25s_stemmed(collection: Collection, stemmer: str) -> list[Ranking]:
    """Search with bm25s and Snowball's stemmer of the language, both as bm25s' README has them."""
    import bm25s
    import snowballstemmer

    cut = snowballstemmer.stemmer(stemmer).stemWords

    def tokens(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords=None, stemmer=cut, show_progress=False)

    retriever = bm25s.BM25()
    retriever.index(tokens(collection.passages), show_progress=False)
    count = min(CANDIDATES, len(collection.passages))
    places, scores = retriever.retrieve(tokens(collection.questions), k=count, show_progress=False)
    return [
        [(int(place), float(score)) for place, score in zip(*pair, strict=True)]
        for pair in zip(places, scores, strict=True)
    ]


def ensemble(collection: Collection, embedder: Embedder) -> list[Ranking]:
    """Search with LangChain's EnsembleRetriever at its defaults: its BM25Retriever and the same vectors, halves."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    passages = cached("passages", embedder, collection.passages, embedder.embed_documents)
    asked = dict(
        zip(
            collection.questions,
            cached(
                "questions",
                embedder,
                collection.questions,
                lambda texts: np.stack([embedder.embed_query(t) for t in texts]),
            ),
            strict=True,
        )
    )

    class Known(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(x) for x in row] for row in passages]

        def embed_query(self, text: str) -> list[float]:
            return [float(x) for x in asked[text]]

    documents = [Document(passage, metadata={"place": place}) for place, passage in enumerate(collection.passages)]
    bm25 = BM25Retriever.from_documents(documents, k=CANDIDATES)
    vectors = InMemoryVectorStore.from_documents(documents, Known()).as_retriever(search_kwargs={"k": CANDIDATES})
    # id_key, since it would otherwise take passages with equal texts for one.
    retriever = EnsembleRetriever(retrievers=[bm25, vectors], weights=[0.5, 0.5], id_key="place")
    found: list[Ranking] = []
    for question in collection.questions:
        places = [document.metadata["place"] for document in retriever.invoke(question)][:CANDIDATES]
        found.append([(place, 1.0 / rank) for rank, place in enumerate(places, 1)])
    return found


def judge(collection: Collection, rankings: Sequence[Ranking]) -> tuple[float, float]:
    """Return nDCG@10 and Recall@100, means over the questions; one without results counts as 0."""
    import pytrec_eval

    qrels = {str(question): judged for question, judged in enumerate(collection.relevant)}
    run = {str(q): {str(number): score for number, score in ranking} for q, ranking in enumerate(rankings)}
    results = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100"}).evaluate(run)
    totals = [sum(result[metric] for result in results.values()) for metric in ("ndcg_cut_10", "recall_100")]
    return totals[0] / len(qrels), totals[1] / len(qrels)


def slug(name: str) -> str:
    """Return the name as part of a file's name."""
    return "".join(char if char.isalnum() else "-" for char in name)


if __name__ == "__main__":
    main()

"""What a search and a sync cost at growing sizes, beside LangChain's Chroma and BM25Retriever on the same passages.

`python -m benchmarks.search_speed --data FOLDER [--sizes 1000,10000,100000] [--queries 200] [--no-langchain]` writes
Markdown files of made passages: real ones of the collections of benchmarks/retrieval_quality.py, each third word drawn
anew from all words. Their vectors are the real ones with a little noise, looked up instead of computed, so that the
times are the engines'; what MiniLM takes for a question is measured beside it. Questions are real. Every figure comes
from a process of its own; memory is what it takes besides the passages and vectors that are looked up.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import publish
from benchmarks.retrieval_quality import cached, read
from retrieval.vectors import Vectors, unit_rows

ENGLISH = ("cranfield", "xquad-en")
FILES = 10_000
WORDS = 120
CANDIDATES = 100
NOISE = 0.01
"""Of each component; a passage and its original then have a cosine of about .98."""
STAGES = ("embed", "lexical", "dense", "fusion", "read")


class Made:
    """Passages by number, and an embedder that knows them and the questions."""

    dimension = 384
    fingerprint = "looked up"

    def __init__(self, data: Path) -> None:
        from retrieval.embedders.open import open_embedder

        embedder = open_embedder("minilm")
        collections = [read(data / name, data / name) for name in ENGLISH]
        self._passages = [passage.split()[:WORDS] for c in collections for passage in c.passages]
        self._words = [word for passage in self._passages for word in passage]
        embedded = [cached("passages", embedder, c.passages, embedder.embed_documents) for c in collections]
        self._vectors = np.concatenate(embedded)  # (N, D)
        self.questions = [question for c in collections for question in c.questions]

        def ask(texts: list[str]) -> Vectors:
            return np.stack([embedder.embed_query(text) for text in texts])

        asked = np.concatenate([cached("questions", embedder, c.questions, ask) for c in collections])
        self._asked = dict(zip(self.questions, asked, strict=True))
        random.Random(0).shuffle(self.questions)

    def text(self, number: int) -> str:
        """Return a passage under a heading that tells its number."""
        chance = random.Random(number)
        words = [
            chance.choice(self._words) if chance.random() < 1 / 3 else word
            for word in self._passages[number % len(self._passages)]
        ]
        return f"# Passage {number}\n\n{' '.join(words)}\n"

    def knows(self, text: str, language: str | None = None) -> bool:
        """All of it is English."""
        return True

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Look up by the number in the heading; what has none gets the vector of some passage. (N, D)."""
        found = [re.search(r"Passage (\d+)", text) for text in texts]
        numbers = [int(m[1]) if m else zlib.crc32(text.encode()) for m, text in zip(found, texts, strict=True)]
        noise = [np.random.default_rng(number).normal(0, NOISE, self.dimension) for number in numbers]
        return unit_rows(np.asarray(self._vectors[np.array(numbers, int) % len(self._vectors)] + noise, np.float32))

    def embed_query(self, text: str) -> Vectors:
        """Look up. (D,)."""
        found = self._asked.get(text)
        return self.embed_documents([text])[0] if found is None else found


def main() -> None:
    """Measure, print, write; or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--no-langchain", action="store_true", help="leave out the slow peer")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments.place, arguments.data, arguments.queries)))
        return
    searched, synced = [], []
    for size in map(int, arguments.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            files = write_files(place / "documents", Made(arguments.data), size)

            def step(name: str, place: Path = place) -> dict[str, Any]:
                return run_step(name, place, arguments.data, arguments.queries)

            synced.append({"passages": size, "files": files, **step("sync"), **step("unchanged"), **step("edit")})
            searched.append({"passages": size, "what": "lorgnette", **step("search")})
            if not arguments.no_langchain:
                step("langchain_build")
                searched.append({"passages": size, "what": "LangChain", **step("langchain")})
    publish("search_speed", "Searches: medians and 95th percentiles in ms", searched, embed_ms=minilm(arguments.data))
    publish("sync_speed", "Syncs, in s, the embedder left out", synced)


def write_files(folder: Path, made: Made, size: int) -> int:
    """Write the passages into at most FILES files, and say how many these are."""
    folder.mkdir()
    each = -(-size // FILES)
    for number in range(0, size, each):
        passages = [made.text(other) for other in range(number, min(number + each, size))]
        (folder / f"{number}.md").write_text("\n".join(passages), "utf-8")
    old = time.time() - 60  # a sync looks twice at what was written this moment
    for file in folder.iterdir():
        os.utime(file, (old, old))
    return -(-size // each)


def run_step(name: str, place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Run a step in a new process and return what it measured."""
    command = [sys.executable, "-m", "benchmarks.search_speed", "--step", name, "--place", str(place)]
    command += ["--data", str(data), "--queries", str(queries)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def sync_once(place: Path, data: Path) -> tuple[float, Any]:
    """Bring the catalogue to where the files are; seconds of it alone, and its report."""
    from retrieval.catalogue.catalogue import Catalogue
    from retrieval.reading.recipe import open_recipe
    from retrieval.settings import RetrievalSettings
    from retrieval.sync.sync import sync

    made = Made(data)
    began = time.perf_counter()
    catalogue = Catalogue(place / "catalogue.sqlite")
    report = sync(catalogue, place / "documents", made, open_recipe(RetrievalSettings(kb=place / "documents")))
    seconds = time.perf_counter() - began
    catalogue.close()
    return seconds, report


def sync_all(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Index everything for the first time, then make both projections."""
    seconds, report = sync_once(place, data)
    assert report.added and not report.skipped, "every file is new and readable"
    began = time.perf_counter()
    with Opened(place, Made(data)):
        indexed = time.perf_counter() - began
    return {"first sync": round(seconds, 2), "both indexes": round(indexed, 2)}


def sync_unchanged(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Find that nothing has changed."""
    times = [sync_once(place, data) for _ in range(5)]
    assert not any(report.added or report.updated for _, report in times), "nothing has changed"
    return {"unchanged": round(statistics.median(seconds for seconds, _ in times), 3)}


def sync_edited(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Edit a file, sync, and search for what is new."""
    made = Made(data)
    synced, searched = [], []
    with Opened(place, made) as searcher:
        for i in range(5):
            file = place / "documents" / "0.md"
            file.write_text(file.read_text("utf-8") + f"\n# Passage 0\n\nThe zanzibar{i} is new.\n", "utf-8")
            seconds, report = sync_once(place, data)
            assert report.updated == 1, "one file has changed"
            synced.append(seconds)
            began = time.perf_counter()
            hits = searcher.search(f"zanzibar{i}").hits
            searched.append(time.perf_counter() - began)
            assert any(f"zanzibar{i}" in hit.text for hit in hits), "the edit is found"
    return {
        "one file edited": round(statistics.median(synced), 3),
        "and then found": round(statistics.median(searched), 3),
    }


class Opened:
    """The product's searcher over the catalogue, brought up to date."""

    def __init__(self, place: Path, made: Made) -> None:
        from retrieval.catalogue.catalogue import Catalogue
        from retrieval.index.projections import Projections
        from retrieval.search.search import Searcher
        from retrieval.settings import RetrievalSettings

        self._catalogue = Catalogue(place / "catalogue.sqlite")
        self._projections = Projections(self._catalogue, place / "projections")
        self._projections.use_embedder(made.fingerprint, made.dimension)
        self._projections.catch_up()
        settings = RetrievalSettings(kb=place / "documents", reranker="none")
        self.searcher = Searcher(self._catalogue, self._projections, place / "documents", settings)
        self.searcher.use_embedder(made)

    def __enter__(self) -> Any:
        return self.searcher

    def __exit__(self, *_: object) -> None:
        self._projections.close()
        self._catalogue.close()


def search(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Open anew and ask; stages are the product's own."""
    made = Made(data)
    before = resident()
    began = time.perf_counter()
    with Opened(place, made) as searcher:
        searcher.search(made.questions[-1])
        cold = time.perf_counter() - began
        totals, stages = [], {stage: list[float]() for stage in STAGES}
        for question in made.questions[:queries]:
            began = time.perf_counter()
            found = searcher.search(question, 10)
            totals.append(time.perf_counter() - began)
            for stage in STAGES:
                stages[stage].append(found.seconds[stage])
        used = resident() - before
    disk = size_of(place / "catalogue.sqlite") + sum(map(size_of, (place / "projections").rglob("*")))
    return measured(totals, cold, used, disk) | {
        stage: round(1000 * statistics.median(values), 3) for stage, values in stages.items()
    }


def langchain_build(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Fill LangChain's Chroma."""
    made = Made(data)
    store = chroma(place, made)
    numbers, texts = passages_of(place)
    for start in range(0, len(texts), 1000):
        rows = slice(start, start + 1000)
        store.add_texts(texts[rows], [{"place": number} for number in numbers[rows]])
    return {}


def langchain(place: Path, data: Path, queries: int) -> dict[str, Any]:
    """Open its Chroma, make its BM25Retriever, which cannot be stored, and ask its EnsembleRetriever over both."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever

    made = Made(data)
    numbers, texts = passages_of(place)
    before = resident()
    began = time.perf_counter()
    bm25 = BM25Retriever.from_texts(texts, [{"place": number} for number in numbers], k=CANDIDATES)
    dense = chroma(place, made).as_retriever(search_kwargs={"k": CANDIDATES})
    retriever = EnsembleRetriever(retrievers=[bm25, dense], weights=[0.5, 0.5], id_key="place")
    retriever.invoke(made.questions[-1])
    cold = time.perf_counter() - began
    totals, lexical, nearest = [], [], []
    for question in made.questions[:queries]:
        totals.append(timed(retriever.invoke, question))
        lexical.append(timed(bm25.invoke, question))
        nearest.append(timed(dense.invoke, question))
    used = resident() - before
    disk = sum(map(size_of, (place / "langchain").rglob("*")))
    stages = dict.fromkeys(STAGES) | {
        "lexical": round(1000 * statistics.median(lexical), 3), "dense": round(1000 * statistics.median(nearest), 3),
    }  # fmt: skip
    return measured(totals, cold, used, disk) | stages


def chroma(place: Path, made: Made) -> Any:
    """Open LangChain's Chroma as its documentation does, with cosines."""
    from langchain_chroma import Chroma
    from langchain_core.embeddings import Embeddings

    class Known(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(x) for x in row] for row in made.embed_documents(texts)]

        def embed_query(self, text: str) -> list[float]:
            return [float(x) for x in made.embed_query(text)]

    return Chroma("passages", Known(), str(place / "langchain"), collection_configuration={"hnsw": {"space": "cosine"}})


def passages_of(place: Path) -> tuple[list[int], list[str]]:
    """Read the files back as the passages that were written."""
    texts = [
        f"# Passage {part}"
        for file in sorted((place / "documents").iterdir())
        for part in file.read_text("utf-8").split("# Passage ")[1:]
    ]
    return list(range(len(texts))), texts


def minilm(data: Path) -> float:
    """Return the median ms that MiniLM takes for a question."""
    from retrieval.embedders.open import open_embedder

    embedder = open_embedder("minilm")
    questions = read(data / ENGLISH[0], data / ENGLISH[0]).questions[:50]
    return round(1000 * statistics.median(timed(embedder.embed_query, question) for question in questions), 2)


def timed(work: Callable[[str], object], question: str) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work(question)
    return time.perf_counter() - began


def measured(totals: Sequence[float], cold: float, memory: float, disk: float) -> dict[str, Any]:
    """Return the columns that both have."""
    return {
        "p50": round(1000 * statistics.median(totals), 2),
        "p95": round(1000 * float(np.percentile(totals, 95)), 2),
        "cold open s": round(cold, 2),
        "memory MiB": round(memory / 2**20),
        "disk MiB": round(disk / 2**20),
    }


@cache
def process() -> Any:
    """Return this process."""
    import psutil

    return psutil.Process()


def resident() -> float:
    """Return this process's memory in bytes."""
    return float(process().memory_info().rss)


def size_of(file: Path) -> int:
    """Return a file's size in bytes, of folders none."""
    return file.stat().st_size if file.is_file() else 0


STEPS = {
    "sync": sync_all,
    "unchanged": sync_unchanged,
    "edit": sync_edited,
    "search": search,
    "langchain_build": langchain_build,
    "langchain": langchain,
}

if __name__ == "__main__":
    main()

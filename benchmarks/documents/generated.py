"""Documents of every kind, generated: one fact in each file, and a question that only this file answers.

`python -m benchmarks.documents.generated [--each 3]` writes that many files of each kind into one folder, syncs it into
a fresh home, and asks: is the value among the five hits, in the first, cited to its file (and page), and verified.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.documents import office, paper, plain
from benchmarks.documents.facts import Fact, facts
from benchmarks.report import publish
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings


@dataclass(frozen=True)
class Kind:
    """How files of a kind are written."""

    name: str
    suffix: str
    write: Callable[[Fact], bytes]
    page: int | None = None
    """That is to be cited."""


def kinds() -> Iterator[Kind]:
    """Yield every kind."""
    for name, (suffix, write) in [*plain.KINDS.items(), *office.KINDS.items()]:
        yield Kind(name, suffix, write)
    for name, (suffix, write, page) in paper.KINDS.items():
        yield Kind(name, suffix, write, page)


def main() -> None:
    """Write, sync, ask, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    every = list(kinds())
    known = facts(len(every) * options.each, options.seed)
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "documents"
        folder.mkdir()
        asked: list[tuple[Kind, str, Fact]] = []
        for number, fact in enumerate(known):
            kind = every[number % len(every)]
            source = f"README{number}" if not kind.suffix else f"file{number:03}.{kind.suffix}"
            (folder / (source if kind.suffix else f"d{number}/README")).parent.mkdir(exist_ok=True)
            source = source if kind.suffix else f"d{number}/README"
            (folder / source).write_bytes(kind.write(fact))
            asked.append((kind, source, fact))
        base = KnowledgeBase(RetrievalSettings(kb=folder, reranker="none"), Path(place) / "home")
        base.sync()
        for kind in every:
            counts = dict.fromkeys(("cases", "found", "first", "cited", "verified"), 0)
            for source, fact in [(source, fact) for of, source, fact in asked if of is kind]:
                hits = base.search(fact.question, 5, wait_s=60).hits
                holding = [hit for hit in hits if fact.value in hit.text]
                first = bool(holding) and holding[0] is hits[0]
                counts["cases"] += 1
                counts["found"] += bool(holding)
                counts["first"] += first
                counts["cited"] += bool(holding) and (holding[0].source, kind.page) == (
                    source, holding[0].page if kind.page else None,
                )  # fmt: skip
                counts["verified"] += bool(holding) and base.verify(holding[0]).status == "exact"
                if not first:
                    missed.append(f"{kind.name}: {fact.question} {fact.value} ({source})")
            rows.append({"kind": kind.name, **counts})
        base.close()
    total = {key: sum(int(str(row[key])) for row in rows) for key in ("cases", "found", "first", "cited", "verified")}
    title = f"Documents of every kind, generated, {options.each} files each"
    publish("documents_generated", title, [*rows, {"kind": "all", **total}], not_first=missed)
    print("\n".join(missed))


if __name__ == "__main__":
    main()

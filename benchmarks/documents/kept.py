"""Documents as people have them: what is found, found first, cited and verified, over the kept cases of each kind.

Run: `python -m benchmarks.documents.kept`; it prints a table and writes `benchmarks/results/documents.json`.
"""

import csv
import shutil
import tempfile
from pathlib import Path

from benchmarks.report import publish
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "data" / "documents"


def main() -> None:
    """Sync the cases into a fresh home, ask each query and count."""
    with (CASES / "documents.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    counts = dict.fromkeys(("cases", "found", "first", "cited", "verified"), 0)
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "documents"
        shutil.copytree(CASES, folder, ignore=shutil.ignore_patterns("*.tsv"))
        base = KnowledgeBase(RetrievalSettings(kb=folder, reranker="none"), Path(place) / "home")
        base.sync()
        for row in rows:
            hits = base.search(row["query"], 5, wait_s=60).hits
            words = row["must be in the first hit"]
            holding = [hit for hit in hits if words in " ".join(hit.text.split())]
            counts["cases"] += 1
            counts["found"] += bool(holding)
            first = bool(hits) and bool(holding) and holding[0] is hits[0]
            counts["first"] += first
            counts["cited"] += bool(holding) and holding[0].source == row["file"]
            counts["verified"] += bool(holding) and base.verify(holding[0]).status == "exact"
            if not first:
                missed.append(f"{row['file']}: {row['query']}")
        base.close()
    publish("documents", "Documents as people have them: kept cases of each kind", [counts], not_first=missed)
    print("\n".join(missed))


if __name__ == "__main__":
    main()

"""Questions about articles that are in a base, and about others of the same kind that are not, language by language.

`python -m benchmarks.absent_articles DATA [SET ...]` takes the first half of each set's passages, of which
benchmarks/known_sets.py writes one article after another, and asks by words alone. No curve of
retrieval/search/relevance.py was fitted on these languages but English and Chinese, and an absent article is nearer
than another subject would be.
"""

import argparse
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.relevance import Base, look, share
from benchmarks.report import publish
from benchmarks.retrieval_quality import Collection, read
from retrieval.search.relevance import RELEVANT, THRESHOLD

QUESTIONS = 150
GAP = 5  # passages after the half that may be of the last article that is there


def main() -> None:
    """Ask, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the sets")
    parser.add_argument("sets", nargs="*", help="all below DATA by default")
    arguments = parser.parse_args()
    sets = arguments.sets or sorted(folder.name for folder in arguments.data.iterdir() if folder.is_dir())
    rows = [row(name, read(arguments.data / name, arguments.data / name)) for name in sets]
    publish("absent_articles", "Share of questions in %, words alone: nothing shown, and shown as relevant", rows)


def row(name: str, collection: Collection) -> dict[str, Any]:
    """Return what became of questions whose article is there, and of those whose article is not."""
    half = len(collection.passages) // 2
    base = Base.of(collection, np.zeros((len(collection.passages), 1), np.float32), range(half))
    there = [n for n, judged in enumerate(collection.relevant) if max(map(int, judged)) < half]
    absent = [n for n, judged in enumerate(collection.relevant) if min(map(int, judged)) >= half + GAP]
    found: dict[str, Any] = {"set": name, "passages": half}
    for label, numbers in (("there", there), ("absent", absent)):
        asked = Random(2).sample(numbers, min(QUESTIONS, len(numbers)))
        best = [best_of(base, collection.questions[n]) for n in asked]
        found |= {
            f"{label}: nothing": share(helps < THRESHOLD for helps in best),
            f"{label}: relevant": share(helps >= RELEVANT for helps in best),
        }
    base.close()
    return found


def best_of(base: Base, question: str) -> float:
    """Return the relevance of the likeliest passage; 0 where none is found."""
    _, case = look(base, question, None, (), 0.0)
    return max((helps for _, _, helps in case), default=0.0)


if __name__ == "__main__":
    main()

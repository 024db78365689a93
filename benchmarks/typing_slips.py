"""How far a slip of the fingers in a question costs its answer: known sets, each question as it is and with one slip.

`python -m benchmarks.typing_slips DATA xquad-en cranfield [--words]` writes each passage of DATA/SET as a file, indexes
the folder as the product does, and asks. The slip falls into the question's longest word: two neighbouring letters
change places, or one is dropped, doubled or another one, by turns. First and five are the share of questions whose
passage comes first or among five; relevant the share of those first ones that are called so.
"""

import argparse
import json
import re
import string
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from rich.progress import track

from benchmarks.report import publish
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings

SHORTEST = 5  # letters of a word that gets a slip
LETTERS = string.ascii_lowercase


def main() -> None:
    """Ask every question twice and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the sets")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--questions", type=int, default=300, help="of each set")
    parser.add_argument("--words", action="store_true", help="search words alone")
    parser.add_argument("--name", default="typing_slips", help="of the results")
    arguments = parser.parse_args()
    rows = [
        row
        for name in arguments.sets
        for row in rows_of(arguments.data / name, arguments.questions, "none" if arguments.words else "minilm")
    ]
    publish(arguments.name, "One slip in the longest word of a question, in percent; p50 of a search", rows)


def rows_of(folder: Path, most: int, embedder: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one set."""
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    right: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        question, passage, _ = line.split("\t")
        right.setdefault(question, set()).add(f"{passage}.txt")
    asked = [question for question in asked if question["_id"] in right]
    random = Random(7)
    asked = random.sample(asked, min(most, len(asked)))
    with tempfile.TemporaryDirectory() as work:
        documents = Path(work) / "documents"
        documents.mkdir()
        for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines():
            passage = json.loads(line)
            if text := f"{passage.get('title', '')}\n\n{passage['text']}".strip():
                (documents / f"{passage['_id']}.txt").write_text(text, "utf-8")
        settings = RetrievalSettings(kb=documents, embedder=embedder, reranker="none")
        base = KnowledgeBase(settings, Path(work) / "home")
        try:
            base.sync()
            for kind in ("as asked", "with a slip"):
                questions = [q if kind == "as asked" else {**q, "text": slipped(q["text"], random)} for q in asked]
                yield {"set": folder.name, "questions": kind, **measured(base, questions, right)}
        finally:
            base.close()


def measured(base: KnowledgeBase, asked: list[dict[str, str]], right: dict[str, set[str]]) -> dict[str, object]:
    """Ask the questions."""
    first = five = relevant = 0
    seconds = []
    for question in track(asked, "asking"):
        began = time.perf_counter()
        hits = base.search(question["text"], 5, wait_s=60).hits
        seconds.append(time.perf_counter() - began)
        found = [hit.source in right[question["_id"]] for hit in hits]
        five += any(found)
        if found[:1] == [True]:
            first += 1
            relevant += hits[0].match == "relevant"
    share = 100 / len(asked)
    return {
        "asked": len(asked),
        "first": round(first * share, 1),
        "five": round(five * share, 1),
        "relevant": round(100 * relevant / max(1, first), 1),
        "p50 ms": round(median(seconds) * 1000, 1),
    }


def slipped(question: str, random: Random) -> str:
    """Return the question with one slip in its longest word, as it is where no word is long enough."""
    word = max(re.finditer(r"[A-Za-z]+", question), key=lambda match: len(match.group()), default=None)
    if word is None or len(word.group()) < SHORTEST:
        return question
    letters, at = word.group(), random.randrange(1, len(word.group()) - 1)
    made = random.choice(
        (
            letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :],
            letters[:at] + letters[at + 1 :],
            letters[:at] + letters[at] + letters[at:],
            letters[:at] + random.choice(LETTERS) + letters[at + 1 :],
        )
    )
    return question[: word.start()] + made + question[word.end() :]


if __name__ == "__main__":
    main()

"""Whether the one passage that holds a code comes first, among many that differ from it in the code alone.

`python -m benchmarks.exact_codes DATA [--embedder minilm]` writes `EACH` short documents for each kind of code, all in
one wording, beside passages of the known sets below DATA (in benchmarks/retrieval_quality.py's layout), indexes the
folder as the product does, and asks for `ASKED` codes of each kind: bare, inside a question, and otherwise written.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.report import publish
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings

EACH, ASKED, DISTRACTORS = 25, 10, 150


@dataclass(frozen=True)
class Kind:
    """How codes of a kind look, stand in a document and are asked for."""

    name: str
    code: Callable[[Random], str]
    document: str
    question: str
    otherwise: Callable[[str], str]


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choice("123456789") for _ in range(count))


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choice("ABCDEFGHKLMNPRSTUVWXZ") for _ in range(count))


def _spaced(code: str) -> str:
    return re.sub(r"[-_./]", " ", code)


KINDS = (
    Kind(
        "invoice", lambda r: f"INV-2024-{_digits(r, 4)}",
        "Invoice {code}\n\nAmount due: {n} EUR, payable within thirty days. Thank you for your order.",
        "What is the amount due on invoice {code}?", lambda c: c.replace("-", ""),
    ),
    Kind(
        "part", lambda r: f"{_letters(r, 2)}{_digits(r, 4)}",
        "Spare part {code}. Fits pump model {n}; keep in a dry place and replace every two years.",
        "Which pump does the part {code} fit?", str.lower,
    ),
    Kind(
        "error", lambda r: f"ERR_{_digits(r, 3)}",
        "{code}: the controller stopped. Wait {n} seconds, open the valve and start again.",
        "What shall I do when the controller shows {code}?", _spaced,
    ),
    Kind(
        "standard", lambda r: f"ISO {_digits(r, 5)}",
        "According to {code} the sample is heated to {n} degrees and weighed twice.",
        "How hot does {code} want the sample to be?", lambda c: c.replace(" ", "-"),
    ),
    Kind(
        "order", lambda r: _digits(r, 8),
        "Order {code} was shipped with {n} parcels by rail from the central warehouse.",
        "How many parcels were in order number {code}?", lambda c: f"{c[:4]} {c[4:]}",
    ),
    Kind(
        "version", lambda r: f"v{_digits(r, 1)}.{_digits(r, 2)}.{_digits(r, 2)}",
        "Release {code} mends {n} mistakes in the importer and is recommended to everybody.",
        "How many mistakes does release {code} mend?", lambda c: c.removeprefix("v"),
    ),
    Kind(
        "weakness", lambda r: f"CVE-2023-{_digits(r, 5)}",
        "{code} lets a caller read memory; severity {n} of 100, mended in the newest package.",
        "How severe is {code}?", str.lower,
    ),
    Kind(
        "contract", lambda r: f"{_letters(r, 1)}/{_digits(r, 3)}/{_digits(r, 2)}",
        "Contract {code} runs for {n} months and is renewed unless one side ends it.",
        "For how many months does contract {code} run?", lambda c: c.replace("/", "-"),
    ),
    Kind(
        "合同", lambda r: f"HT-{_digits(r, 6)}", "合同编号{code}，有效期{n}个月，到期自动续签。",
        "合同{code}的有效期是多久？", lambda c: c.replace("-", ""),
    ),
    Kind(
        "Vorgang", lambda r: f"VG.{_digits(r, 4)}.{_letters(r, 2)}",
        "Der Vorgang {code} wurde nach {n} Tagen abgeschlossen und an das Archiv übergeben.",
        "Nach wie vielen Tagen wurde der Vorgang {code} abgeschlossen?", lambda c: c.replace(".", "-"),
    ),
)  # fmt: skip


def main() -> None:
    """Write, index, ask, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the sets")
    parser.add_argument("--embedder", nargs="+", default=["minilm", "none"])
    arguments = parser.parse_args()
    rows = [row for embedder in arguments.embedder for row in rows_of(arguments.data, embedder)]
    publish("exact_codes", f"First hits in %, of {ASKED} codes of each kind among {EACH}; p50 of a search", rows)


def rows_of(data: Path, embedder: str) -> list[dict[str, object]]:
    """Return a row for each way of asking, and the share of each kind."""
    rng = Random(11)
    with tempfile.TemporaryDirectory() as work:
        documents = Path(work) / "documents"
        documents.mkdir()
        asked = [pair for kind in KINDS for pair in _written(kind, documents, rng)]
        _distract(data, documents)
        settings = RetrievalSettings(kb=documents, embedder=embedder, reranker="none")
        base = KnowledgeBase(settings, Path(work) / "home")
        try:
            base.sync()
            return [
                {
                    "embedder": embedder,
                    "asked": way,
                    **_first(base, [(kind, put(kind, code), file) for kind, code, file in asked]),
                }
                for way, put in WAYS.items()
            ]
        finally:
            base.close()


WAYS: dict[str, Callable[[Kind, str], str]] = {
    "bare": lambda _, code: code,
    "in a question": lambda kind, code: kind.question.format(code=code),
    "as also written": lambda kind, code: kind.otherwise(code),
    "as also written, in a question": lambda kind, code: kind.question.format(code=kind.otherwise(code)),
}


def _written(kind: Kind, folder: Path, rng: Random) -> list[tuple[Kind, str, str]]:
    """Write a kind's documents; returns the codes that are asked for, with their files."""
    codes = list(dict.fromkeys(kind.code(rng) for _ in range(2 * EACH)))[:EACH]
    for number, code in enumerate(codes):
        text = kind.document.format(code=code, n=rng.randint(10, 99))
        (folder / f"{kind.name}{number}.txt").write_text(text, "utf-8")
    return [(kind, codes[n], f"{kind.name}{n}.txt") for n in sorted(rng.sample(range(len(codes)), ASKED))]


def _distract(data: Path, folder: Path) -> None:
    """Write passages of the known sets beside them."""
    for corpus in sorted(data.glob("*/corpus.jsonl")):
        lines = corpus.read_text("utf-8").splitlines()
        for line in Random(1).sample(lines, min(DISTRACTORS, len(lines))):
            passage = json.loads(line)
            (folder / f"{corpus.parent.name}-{passage['_id']}.txt").write_text(passage["text"], "utf-8")


def _first(base: KnowledgeBase, asked: list[tuple[Kind, str, str]]) -> dict[str, object]:
    seconds, right = list[float](), dict[str, list[bool]]()
    for kind, question, file in asked:
        began = time.perf_counter()
        hits = base.search(question, 5, wait_s=60).hits
        seconds.append(time.perf_counter() - began)
        right.setdefault(kind.name, []).append(bool(hits) and hits[0].source == file)
    every = [one for some in right.values() for one in some]
    shares = {name: round(100 * sum(some) / len(some)) for name, some in right.items()}
    return {"first": round(100 * sum(every) / len(every), 1), **shares, "p50 ms": round(median(seconds) * 1000, 1)}


if __name__ == "__main__":
    main()

"""How surely endless repetition is seen and honest repetition left alone, by kind.

`python -m benchmarks.repetition [--seed 0] [--count 200]` makes loops (a beginning, then a unit that comes back to the
end of 256 to 2,000 characters) and honest texts (tables, lists, forms with equal cells), and reads a second set that
other people wrote: the READMEs, licences and tables that the installed packages bring. `seen after` is how many
characters of a loop were written before it was cut.
"""

import argparse
import random
import statistics
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.report import publish
from graph.repetition import EVERY, RepetitionGuard, cut_loop

WORDS = [
    "the", "cat", "sits", "on", "a", "red", "mat", "near", "the",
    "door", "and", "looks", "at", "two", "small", "birds", "in", "the", "tree",
]  # fmt: skip
CHINESE = "图中有一只红色的猫坐在门边的垫子上看着树上两只小鸟"
OTHERS = ("*.md", "*.rst", "METADATA", "LICENSE*", "*.csv", "*.txt")
MOST_FILES, MOST_CHARS = 3000, 20_000


def sentence(rng: Random, words: int) -> str:
    """Return a made sentence."""
    return " ".join(rng.choices(WORDS, k=words)).capitalize() + ". "


def _counted(rng: Random, form: str) -> str:
    text = sentence(rng, rng.randint(5, 9)).rstrip(". ")
    return "".join(form.format(n=n, text=text) for n in range(1, 400))


LOOPS: dict[str, Callable[[Random], str]] = {
    "a word": lambda rng: (rng.choice(WORDS) + " ") * 800,
    "a phrase": lambda rng: (" ".join(rng.choices(WORDS, k=4)) + ", ") * 400,
    "a sentence": lambda rng: sentence(rng, rng.randint(5, 15)) * 200,
    "two sentences": lambda rng: (sentence(rng, 8) + sentence(rng, 11)) * 100,
    "a line": lambda rng: (sentence(rng, 8).strip() + "\n") * 200,
    "a paragraph": lambda rng: (sentence(rng, 9) + "\n" + sentence(rng, 12) + "\n\n") * 60,
    "counted sentences": lambda rng: _counted(rng, "In step {n} {text}. "),
    "counted lines": lambda rng: _counted(rng, "Step {n}: {text}.\n"),
    "Chinese": lambda rng: ("".join(rng.choices(CHINESE, k=rng.randint(5, 18))) + "。") * 300,
    "items of a list": lambda rng: f"- {rng.choice(WORDS)}\n" * 700,
    "rows of a table": lambda rng: f"| {rng.choice(WORDS)} | {rng.randint(0, 9)} |\n" * 500,
    "signs": lambda rng: rng.choice(["[", "ha", "0", "啊"]) * 2500,
}


def _row(rng: Random, n: int) -> str:
    return f"| {n} | {rng.choice(['paid', 'open', 'paid'])} | {rng.randint(0, 99)}.00 |\n"


HONEST: dict[str, Callable[[Random], str]] = {
    "prose": lambda rng: "".join(sentence(rng, rng.randint(4, 14)) for _ in range(60)),
    "a table": lambda rng: "".join(_row(rng, n) for n in range(rng.randint(5, 150))),
    "a table of equal rows": lambda rng: "| 0 | 0 | 0 |\n" * rng.randint(3, 40),
    "a list of one word": lambda rng: "".join(f"{n}. {rng.choice(['yes', 'no'])}\n" for n in range(1, 60)),
    "a matrix": lambda rng: (" ".join(rng.choices("01", k=12)) + "\n") * rng.randint(4, 24),
    "boxes": lambda rng: str([{"bbox_2d": [rng.randint(0, 999) for _ in range(4)], "label": "cup"} for _ in range(40)]),
    "a form": lambda rng: "".join(f"{rng.choice(WORDS).capitalize()}: ______________\n" for _ in range(20)),
    "a refrain": lambda rng: (sentence(rng, 6) + "\n") * 3 + sentence(rng, 9),
    "contents": lambda rng: "".join(f"{sentence(rng, 3).strip()} {'.' * 60} {n}\n" for n in range(25)),
}


def written_until_cut(text: str) -> int | None:
    """Return how many characters were written when the guard saw the loop; None if it did not."""
    guard = RepetitionGuard()
    for start in range(0, len(text), EVERY):
        if guard.add(text[start : start + EVERY]):
            return start + EVERY
    return None


def others() -> Iterator[str]:
    """Yield texts that other people wrote, as far as they are text."""
    site = Path(sysconfig.get_paths()["purelib"])
    files = sorted({file for pattern in OTHERS for file in site.rglob(pattern) if file.is_file()})
    random.Random(0).shuffle(files)
    for file in files[:MOST_FILES]:
        try:
            text = file.read_text("utf-8")[:MOST_CHARS]
        except (OSError, UnicodeError):
            continue
        if len(text) > EVERY:
            yield text


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200, help="texts of each kind")
    options = parser.parse_args()
    rng = Random(options.seed)
    rows: list[dict[str, Any]] = []
    for kind, make in LOOPS.items():
        begin = [sentence(rng, rng.randint(0, 20)) for _ in range(options.count)]
        seen = [written_until_cut((first + make(rng))[:2000]) for first in begin]
        after = [chars for chars in seen if chars is not None]
        rows.append({
            "text": f"loop: {kind}", "texts": len(seen), "cut": sum(chars is not None for chars in seen) / len(seen),
            "seen after (median)": statistics.median(after) if after else None,
        })  # fmt: skip
    for kind, make in HONEST.items():
        cut = [cut_loop(make(rng))[1] for _ in range(options.count)]
        rows.append({
            "text": f"honest: {kind}", "texts": len(cut), "cut": sum(cut) / len(cut), "seen after (median)": None,
        })  # fmt: skip
    cut = [cut_loop(text)[1] for text in others()]
    rows.append({
        "text": "honest: files of other people", "texts": len(cut), "cut": sum(cut) / len(cut),
        "seen after (median)": None,
    })  # fmt: skip
    publish("repetition", "Endless repetition: share of texts that are cut", rows, seed=options.seed)


if __name__ == "__main__":
    main()

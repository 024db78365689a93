"""Chinese questions in one script asked of passages in the other: what finds its passage, and what is refused.

`python -m benchmarks.other_script DATA SET [SET ...]` takes sets in simplified characters and writes questions or
passages in traditional ones with zhconv, whose tables are MediaWiki's and not those that the product folds by:
character by character, and as Taiwan writes, where some words are other ones. By words alone. The last two columns are
of half of the passages, as in `absent_articles`. zhconv is under the GPL and so no part of any extra:
`pip install zhconv`.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.absent_articles import row as refusals
from benchmarks.report import publish
from benchmarks.retrieval_quality import Collection, measure, read

Convert = Callable[[str], str]


def main() -> None:
    """Ask, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the sets")
    parser.add_argument("sets", nargs="+")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in arguments.sets:
        collection = read(arguments.data / name, arguments.data / name)
        for said, passages, questions in WAYS:
            rows.append({"set": name, **said, **found(written(collection, passages, questions))})
    publish("other_script", "One script's questions asked of another's passages, words alone", rows)


def written(collection: Collection, passages: Convert, questions: Convert) -> Collection:
    """Return the collection with its passages and its questions in other characters."""
    return replace(
        collection,
        passages=[passages(text) for text in collection.passages],
        questions=[questions(text) for text in collection.questions],
    )


def found(collection: Collection) -> dict[str, Any]:
    """Return how good the passages are, and what was refused in percent."""
    ours = next(row for row in measure(collection, None, langchain=False) if row["way"] == "product default")
    refused = refusals(collection.name, collection)
    return {
        "nDCG@10": ours["nDCG@10"], "Recall@100": ours["Recall@100"],
        "there: nothing %": refused["there: nothing"], "absent: nothing %": refused["absent: nothing"],
    }  # fmt: skip


def traditional(text: str) -> str:
    """Return the text in traditional characters."""
    return _converted(text, "zh-hant")


def taiwanese(text: str) -> str:
    """Return the text in traditional characters and with Taiwan's words."""
    return _converted(text, "zh-tw")


def _converted(text: str, variant: str) -> str:
    try:
        import zhconv
    except ModuleNotFoundError as error:
        raise SystemExit("zhconv writes the other script; run: pip install zhconv") from error
    return str(zhconv.convert(text, variant))


WAYS: tuple[tuple[dict[str, str], Convert, Convert], ...] = (
    ({"passages": "simplified", "questions": "simplified"}, str, str),
    ({"passages": "simplified", "questions": "traditional"}, str, traditional),
    ({"passages": "simplified", "questions": "as in Taiwan"}, str, taiwanese),
    ({"passages": "traditional", "questions": "traditional"}, traditional, traditional),
    ({"passages": "traditional", "questions": "simplified"}, traditional, str),
    ({"passages": "as in Taiwan", "questions": "simplified"}, taiwanese, str),
)


if __name__ == "__main__":
    main()

"""Turns published question sets into the layout that benchmarks/retrieval_quality.py reads.

`python -m benchmarks.known_sets REPOSITORY OUT` reads every `xquad.LANGUAGE.json` or `DRCD_*.json` of a git repository
(deepmind/xquad, DRCKnowledgeTeam/DRCD; both CC BY-SA) and writes a folder for each below OUT. Other files of that form
are given with the set that they become: `datasets/jsquad-v1.3/valid-v1.3.json=jsquad-ja` (yahoojapan/JGLUE, CC BY-SA),
`data/annotation/wikipedia/answers_1.json=norquad-no` (ltgoslo/NorQuAD, CC0). Nothing is fetched.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any


def main() -> None:
    """Write the collections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, help="a git folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="*", metavar="FILE=SET", help="other files in the form of SQuAD")
    arguments = parser.parse_args()
    for named in arguments.files:
        file, _, name = named.partition("=")
        write(json.loads(git(arguments.repository, "show", f"HEAD:{file}"))["data"], arguments.out / name)
    names = git(arguments.repository, "ls-tree", "-r", "--name-only", "HEAD").decode().splitlines()
    for name in names:
        if name.endswith(".json") and name.startswith(("xquad.", "DRCD_test")):
            data = json.loads(git(arguments.repository, "show", f"HEAD:{name}").decode("utf-8-sig"))
            write(
                data["data"], arguments.out / name.removesuffix(".json").replace(".", "-").replace("DRCD_test", "drcd")
            )


def git(repository: Path, *words: str) -> bytes:
    """Return what git says."""
    return subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True).stdout


def write(articles: list[dict[str, Any]], folder: Path) -> None:
    """Write one SQuAD-like file as corpus.jsonl, queries.jsonl and qrels.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for place, paragraph in enumerate(paragraphs):
        text = paragraph["context"].replace(" [SEP] ", "\n")  # JSQuAD's, behind the title
        corpus.append(json.dumps({"_id": f"p{place}", "title": "", "text": text}, ensure_ascii=False))
        for asked in paragraph["qas"]:
            queries.append(json.dumps({"_id": str(asked["id"]), "text": asked["question"]}, ensure_ascii=False))
            qrels.append(f"{asked['id']}\tp{place}\t1")
    for name, lines in (("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels.tsv", qrels)):
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()

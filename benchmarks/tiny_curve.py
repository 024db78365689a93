"""What a run of the bundled checkpoint's recipe learned, and when, from its own logs.

`python -m benchmarks.tiny_curve runs/tiny [--beside NAME=other/log.jsonl]` reads dense.jsonl and log.jsonl of a run of
`finetune.tiny.train`, and the language logs of others. The tower's shares are means over the logged steps before each
row, on pictures that it learns from; the language side's are of held-out pictures, answers that greedy decoding would
write word by word.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.report import publish

TOWER_EVERY, TOWER_MEAN = 300, 6
TASKS = (
    "terse color", "terse shape", "terse exist", "color", "shape", "count", "exist", "relation", "locate", "caption",
    "word", "read", "grade", "plan", "review",
)  # fmt: skip


def main() -> None:
    """Read, and publish two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", default="tiny", help="of the results' files")
    parser.add_argument("--beside", nargs="*", default=[], metavar="NAME=LOG", help="language logs of other runs")
    options = parser.parse_args()
    publish(f"{options.name}_tower", "Stage one, right % at the things' middles", tower(options.run / "dense.jsonl"))
    rows = []
    for pair in (*options.beside, f"recipe={options.run / 'log.jsonl'}"):
        name, _, log = pair.partition("=")
        rows += [{"run": name, **row} for row in language(Path(log))]
    publish(f"{options.name}_language", "Stage two, right % on held-out pictures, both languages", rows)


def tower(log: Path) -> list[dict[str, Any]]:
    """Return a row for every `TOWER_EVERY` steps."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    by_step = {line["step"]: line for line in lines}  # a resumed run logs some steps again
    rows, seconds, before = [], 0, 0
    ordered = [by_step[step] for step in sorted(by_step)]
    for number, line in enumerate(ordered):
        seconds += line["cpu_s"] - before if line["cpu_s"] >= before else line["cpu_s"]
        before = line["cpu_s"]
        if line["step"] % TOWER_EVERY == 0:
            recent = ordered[max(0, number + 1 - TOWER_MEAN) : number + 1]
            known = {name: [one[name] for one in recent if name in one] for name in shares(line)}
            means = {name: round(100 * sum(some) / len(some), 1) for name, some in known.items()}
            rows.append({"step": line["step"], "CPU minutes": round(seconds / 60, 1), **means})
    columns = dict.fromkeys(name for row in reversed(rows) for name in row)  # a run may have learned more later
    return [{name: row.get(name) for name in columns} for row in rows]


def shares(line: dict[str, float]) -> list[str]:
    """Return which shares of right answers a line of the log has."""
    return [name for name in line if name not in ("step", "loss", "cpu_s")]


def language(log: Path) -> list[dict[str, Any]]:
    """Return a row for every evaluation, both languages together."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    seconds = {line["step"]: line["cpu_s"] for line in lines if "cpu_s" in line}
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    rows = []
    for line in (line for line in lines if "exact" in line):
        exact, step = line["exact"], line["step"]
        row: dict[str, Any] = {
            "step": step,
            "CPU minutes": round(seconds[step] / 60, 1),
            "loss": round(losses[step], 3),
        }
        for task in TASKS:
            both = [exact[name] for name in (task, f"{task} zh") if name in exact]
            row[task] = round(100 * sum(both) / len(both), 1) if both else None
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()

"""Run every way and every effort, print the tables and write results/any_model.json.

`--before FILE` puts the figures of an earlier run, made by `--save FILE` on another commit, beside these.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.any_model.run import ask, is_right, judged
from benchmarks.any_model.ways import WAYS, Kind, Way, plain
from benchmarks.report import publish, show

BEFORE = Path(__file__).with_name("before.json")


def costs() -> list[dict[str, Any]]:
    """Return calls and tokens of a question whose answer is right at once."""
    rows = []
    for kind, clear, about in (
        ("picture", False, "a picture"), ("document", True, "documents, one relevant passage"),
        ("document", False, "documents, all passages alike"),
    ):  # fmt: skip
        for effort in ("quick", "normal", "thorough"):
            outcome = ask(Way(about, "", plain, _kind(kind), effort=_effort(effort)), clear=clear)
            rows.append(
                {"question about": about, "effort": effort, "calls": len(outcome.asked), "read": outcome.tokens}
            )
    return rows


def main() -> None:
    """Measure and publish."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    rows = [judged(way, ask(way)) for way in WAYS]
    spent = costs()
    shares = {
        "ways": len(rows),
        "answered": sum(row["answered"] == "yes" for row in rows),
        "right in all": sum(map(is_right, rows)),
        "thinking shown": sum(row["thinking shown"] for row in rows),
        "false boxes": sum(row["false boxes"] for row in rows),
    }
    if "--save" in sys.argv:
        Path(sys.argv[-1]).write_text(json.dumps({"shares": shares, "costs": spent}, indent=1) + "\n", "utf-8")
        show("before", rows)
        return
    before = json.loads(BEFORE.read_text("utf-8"))
    summary = [{"": name, "before": before["shares"][name], "now": value} for name, value in shares.items()]
    compared = [
        {
            "question about": now["question about"], "effort": now["effort"], "calls before": was["calls"],
            "calls now": now["calls"], "tokens read before": was["read"], "tokens read now": now["read"],
        }
        for was, now in zip(before["costs"], spent, strict=True)
    ]  # fmt: skip
    publish("any_model_cost", "Calls and prompt tokens (about) of a question by effort", compared)
    publish("any_model_shares", "Ways in which servers and models answer, before and now", summary)
    publish("any_model", "Each way, and what came of a question", rows, shares=shares, costs=compared)
    sys.exit(0 if all(map(is_right, rows)) else "some ways are not right")


def _kind(kind: str) -> Kind:
    return "document" if kind == "document" else "picture"


def _effort(effort: str) -> Any:
    return effort


if __name__ == "__main__":
    main()

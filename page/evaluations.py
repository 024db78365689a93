"""Adapters measured beside their base by `lorgnette finetune evaluate`, in a process that outlives the page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.evaluation.bootstrap import Estimate
from finetune.evaluation.outcome import ADAPTER, ALL, BASE
from finetune.evaluation.report import shown
from page.processes import Processes, told_of

FOLDER, RESULTS = "evaluation", "results.json"


@dataclass(frozen=True)
class Line:
    """One measure of all rows."""

    title: str
    base: str
    adapter: str
    difference: str


@dataclass(frozen=True)
class Evaluation:
    """How an evaluation stands."""

    running: bool
    told: str = ""
    """The last of what it wrote to the terminal."""
    lines: tuple[Line, ...] = ()
    """What it found; none before its end."""
    rows: int = 0
    broken: int = 0


def begin(processes: Processes, output: Path, rows: Path | None) -> None:
    """Measure the adapter of a folder; what an earlier evaluation found of other rows is replaced at the end.

    Args:
        processes: Holds the process.
        output: Folder of the adapter.
        rows: File of rows with right answers; None takes those that the training held back.

    Raises:
        PageError: It is being measured already, or cannot be started.
    """
    command = ["finetune", "evaluate", str(output), "--base", *([] if rows is None else ["--data", str(rows)])]
    processes.begin(output / FOLDER, command)


def evaluation_of(processes: Processes, output: Path) -> Evaluation:
    """Read how the evaluation of an adapter stands; reads files, so call it on a thread."""
    place = output / FOLDER
    running = processes.pid(place) is not None
    try:
        found = json.loads((place / RESULTS).read_text("utf-8")) if not running else {}
        cells = found.get("table", {}).get(ALL, {})
        lines = [_line(measure, cells[measure["name"]]) for measure in found.get("measures", ())
                 if measure["name"] in cells]  # fmt: skip
        return Evaluation(running, told_of(place), tuple(lines), found.get("rows", 0), len(found.get("broken", ())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there yet, or another program's
        return Evaluation(running, told_of(place))


def _line(measure: Mapping[str, Any], cell: Mapping[str, Any]) -> Line:
    base, adapter = (_shown(cell["of"].get(name)) for name in (BASE, ADAPTER))
    return Line(str(measure["title"]), base, adapter, _shown(cell["difference"], sign=True))


def _shown(estimate: Mapping[str, Any] | None, *, sign: bool = False) -> str:
    return shown(None if estimate is None else Estimate(**estimate), sign=sign)

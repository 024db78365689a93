"""What every benchmark prints and writes: a table for people, JSON for the next run, and the machine beside it."""

import json
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "measurements.md"


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers: processor, cores, memory, versions."""
    from importlib.metadata import version

    import psutil

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(str(column), justify="left" if column == next(iter(rows[0])) else "right")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    Console().print(table)


def publish(name: str, title: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> None:
    """Print the rows as a table and write them with `more` to results/NAME.json."""
    show(title, rows)
    RESULTS.mkdir(exist_ok=True)
    document = {"title": title, "machine": machine(), **more, "rows": list(rows)}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def tables(page: str) -> str:
    """Return the page with every table between `<!-- NAME -->` and `<!-- end -->` as results/NAME.json has it."""

    def fill(found: re.Match[str]) -> str:
        document = json.loads((RESULTS / f"{found[1]}.json").read_text("utf-8"))
        rows = document["rows"]
        lines = [list(rows[0]), ["---"] * len(rows[0]), *([_shown(v) for v in row.values()] for row in rows)]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"<!-- {found[1]} -->\n{document['title']}\n\n{body}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, page, flags=re.DOTALL)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return "" if value is None else str(value)


def main() -> None:
    """Bring the tables of docs/measurements.md to where the results are; with --check only say whether they are."""
    page = PAGE.read_text("utf-8")
    if "--check" in sys.argv[1:]:
        sys.exit(0 if tables(page) == page else f"{PAGE.name} is not what the results say; run benchmarks.report")
    PAGE.write_text(tables(page), "utf-8")


if __name__ == "__main__":
    main()

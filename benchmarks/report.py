"""What every benchmark prints and writes: a table for people, JSON for the next run, and the machine beside it."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


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


def publish(name: str, title: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> None:
    """Print the rows as a table and write them with `more` to results/NAME.json."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(str(column), justify="left" if column == next(iter(rows[0])) else "right")
    for row in rows:
        table.add_row(*("" if v is None else f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    document = {"title": title, "machine": machine(), **more, "rows": list(rows)}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")

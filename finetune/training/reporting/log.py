"""The log of a training: one JSON object a line, read again by curves, report and comparison."""

import json
from pathlib import Path
from typing import Any

LOG = "train_log.jsonl"


def read_log(file: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log; one that a kill cut off is passed over."""
    lines = []
    for text in file.read_text("utf-8").splitlines() if file.is_file() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines

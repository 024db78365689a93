"""Finds the adapters below a folder by their configurations. It loads none of them."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONFIG = "adapter_config.json"
DEPTH = 4  # of folders: runs/NAME/checkpoint-100/adapter_config.json


@dataclass(frozen=True)
class FoundAdapter:
    """An adapter's folder, and what its configuration says; none where it says nothing."""

    folder: Path
    type: str | None
    base: str | None
    """The model that it was made for."""


def find_adapters(top: Path) -> Iterator[FoundAdapter]:
    """Yield the adapters in a folder and its subfolders, in the order of their names; hidden folders are left out."""
    for where, folders, names in os.walk(top):
        place = Path(where)
        if len(place.relative_to(top).parts) >= DEPTH:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if CONFIG in names:
            try:
                said = json.loads((place / CONFIG).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                said = {}
            said = said if isinstance(said, dict) else {}
            yield FoundAdapter(place, said.get("peft_type"), said.get("base_model_name_or_path"))

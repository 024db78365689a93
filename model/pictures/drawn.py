"""Where pictures with an answer's boxes are kept, and the addresses under which they are known. It draws none."""

import re
from pathlib import Path

from common.home import data_home

PREFIX = "lorgnette://picture/"
URI = PREFIX + "{id}"
ID = re.compile(r"[0-9a-f]{32}")


def drawn_folder() -> Path:
    """Return the folder in which they lie."""
    return data_home() / "pictures"


def drawn_path(name: str, folder: Path) -> Path:
    """Return the file of the picture of that id."""
    return folder / f"{name}.png"

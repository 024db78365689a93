"""Makes sure that the packages that run are our own, not a user's `model.py` that stands earlier on Python's path.

Several packages have names that anybody may give to a file. It imports nothing of ours and nothing slow, because it
runs before everything else; it finds files and runs none of them.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("cli", "common", "finetune", "graph", "lorgnette", "mcp_server", "model", "retrieval")
_HOME = Path(__file__).resolve().parents[1]


class Shadowed(ImportError):
    """A file or folder of somebody else's stands in the place of one of our packages."""

    def __init__(self, name: str, file: str) -> None:
        self.file = file
        folder = Path(file).parent if Path(file).name != "__init__.py" else Path(file).parents[1]
        super().__init__(
            f"{file!r} takes the place of Lorgnette's own package {name!r}; rename it, or start from another folder "
            f"than {str(folder)!r} with the installed command `lorgnette`.",
            name=name,
        )


def check_packages() -> None:
    """Refuse to go on where one of our packages is not our own.

    Raises:
        Shadowed: With the file that is in the way and what to do about it.
    """
    for name in PACKAGES:
        file = _file_of(name)
        if file is not None and Path(file).resolve().parents[1] != _HOME:
            raise Shadowed(name, file)


def _file_of(name: str) -> str | None:
    """Return the file that the name is, or would be, imported from; None if it has none."""
    module = sys.modules.get(name)
    spec: ModuleSpec | None = module.__spec__ if module is not None else find_spec(name)
    if spec is None:
        return None
    if spec.origin is None or not spec.has_location:  # a folder without __init__.py
        places = list(spec.submodule_search_locations or [])
        return str(Path(places[0]) / "__init__.py") if places else None
    return spec.origin

"""Where this user's index, sessions and caches lie."""

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "LORGNETTE_HOME"


def data_home() -> Path:
    """Return the folder of index, sessions and caches; `LORGNETTE_HOME` names another one."""
    named = os.environ.get(HOME_VARIABLE)
    return absolute(Path(named)) if named else Path(platformdirs.user_data_dir("lorgnette", appauthor=False))


def absolute(path: Path) -> Path:
    """Return the path from the root on, with `~` replaced.

    Raises:
        ValueError: It names a user that does not exist.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # ~name of a user that does not exist
        raise ValueError("there is no such user's home folder") from None

"""Writes one setting into the user's settings file; every other line of it stays as it is."""

import os
import re
from pathlib import Path

from common.atomic_files import write_whole
from lorgnette.settings import PREFIX, ConfigUnreadable, config_file, user_file


def remember(key: str, value: str) -> Path:
    """Set a key of the user's `lorgnette.yaml`, and return the file.

    Args:
        key: A setting whose value is a text.
        value: Written in quotation marks, so that no YAML is read into it.

    Raises:
        ConfigUnreadable: The file cannot be read or written.
    """
    path = user_file()
    line = f"{key}: {_quoted(value)}\n"
    try:
        text = path.read_text("utf-8") if path.is_file() else ""
        found = re.compile(rf"^{re.escape(key)}[ \t]*:.*(?:\n|$)", re.MULTILINE)
        if found.search(text):
            text = found.sub(lambda _: line, text, count=1)
        else:
            text = text + ("" if not text or text.endswith("\n") else "\n") + line
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except (OSError, UnicodeError) as error:
        raise ConfigUnreadable(path, f"it cannot be changed ({getattr(error, 'strerror', None) or error})") from None
    return path


def overriding(key: str) -> str | None:
    """Return what wins over the user's file for a key: a variable, or another file; None if nothing does."""
    variable = PREFIX + key.upper()
    if os.environ.get(variable):
        return f"the variable {variable}"
    used = config_file()
    return None if used is None or used == user_file() else f"the file {str(used)!r}"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

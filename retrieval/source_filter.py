"""Which paths a filter's `source` means. It knows paths as strings and never looks at a disk."""

import re
import unicodedata
from functools import lru_cache


@lru_cache(maxsize=64)
def _expression(pattern: str) -> re.Pattern[str]:
    pattern = unicodedata.normalize("NFC", pattern).removeprefix("./").strip("/")
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        match piece:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _:
                parts.append(re.escape(piece))
    # A bare pattern such as `*.md` means such names in any folder, as a user of `find -name` expects.
    anywhere = "(?:.*/)?" if re.search(r"[*?]", pattern) and "/" not in pattern else ""
    inside = "(?:/.*)?" if pattern else ".*"
    return re.compile(f"{anywhere}{''.join(parts)}{inside}", re.DOTALL)


def source_matches(pattern: str, source: str) -> bool:
    """Tell whether a file's path is `pattern` or lies in the folder that `pattern` names.

    `*` and `?` stand for characters of one name, `**` also for folders; a pattern with `*` or `?` and no slash means
    names in any folder. Composed and decomposed accents are the same.
    """
    return _expression(pattern).fullmatch(unicodedata.normalize("NFC", source)) is not None

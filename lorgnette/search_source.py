"""Which of the indexed documents a search's `source` means, as people and models name them. It searches nothing."""

import os
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from common.errors import LorgnetteError
from common.safe_text import printable
from retrieval.source_filter import source_matches

MOST_NAMED = 3


class SourceUnknown(LorgnetteError):
    """No indexed file is meant by it; `near` are names that are spelled much like it."""

    def __init__(self, source: str, near: Sequence[str]) -> None:
        self.source, self.near = source, tuple(near)
        names = " or ".join(repr(printable(name)) for name in near)
        advice = f"did you mean {names}?" if near else "leave source out, or name a file or folder of the documents."
        super().__init__(f"No indexed document is meant by the source {printable(source)!r}; {advice}")


def named_source(source: str, names: Sequence[str], folder: Path) -> str:
    """Return the source as the index has it.

    Args:
        source: A path in the knowledge base or an absolute one, of a file or a folder, with `*` and `?` as in a shell;
            letters in the other case are forgiven.
        names: The paths of all indexed files.
        folder: Of the documents.

    Raises:
        SourceUnknown: It means none of them.
    """
    wanted = _inside(source.strip(), folder)
    if any(source_matches(wanted, name) for name in names):
        return wanted
    known = dict.fromkeys([*names, *(str(parent) for name in names for parent in PurePosixPath(name).parents[:-1])])
    alike = next((name for name in known if _plain(name) == _plain(wanted)), None)
    if alike is not None:
        return alike
    by_name = {_plain(PurePosixPath(name).name): name for name in known}
    ends = get_close_matches(_plain(PurePosixPath(wanted).name), list(by_name), n=MOST_NAMED)
    raise SourceUnknown(source, [by_name[end] for end in ends])


def _inside(source: str, folder: Path) -> str:
    """Return an absolute path as it is named in the folder."""
    path = source.replace("\\", "/") if os.name == "nt" else source
    for root in (folder, Path(os.path.realpath(folder))):
        begins = f"{root.as_posix()}/"
        if path.startswith(begins):
            return path.removeprefix(begins)
    return path


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip("/").removeprefix("./")

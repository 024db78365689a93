"""Remembers of a file where it was fetched from and when: its name, a hidden file beside it, and a note.

The hidden file is for the next sync, which takes it into the catalogue as a note; from then on the catalogue knows.
Neither alters the document. It fetches nothing.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from common.atomic_files import write_whole
from retrieval.reading.documents import ReadLimits, read_bytes
from retrieval.reading.unreadable import Unreadable

_MAX_BYTES = 64 * 1024
_STEM_CHARS = 40  # of up to four bytes each, so that the whole stays under what a file name may have
_NOTE = re.compile(r"fetched from (\S+) on (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


@dataclass(frozen=True)
class Origin:
    """Where a file's bytes come from."""

    address: str
    fetched_at: float
    """Seconds since 1970."""

    @property
    def note(self) -> str:
        """What the catalogue keeps of it, in words for the user."""
        return f"fetched from {self.address} on {datetime.fromtimestamp(self.fetched_at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def address_in(notes: Iterable[str]) -> str | None:
    """Return the address that a file's notes name."""
    found = (_NOTE.fullmatch(note) for note in notes)
    return next((match[1] for match in found if match), None)


def place_of(address: str, suffix: str) -> tuple[str, str]:
    """Return folder and name for an address's file: legible, safe anywhere, and no other address's.

    Args:
        address: In its normalised form.
        suffix: The file's ending.
    """
    parts = urlsplit(address)
    host = re.sub(r"[^a-z0-9.-]+", "-", parts.netloc.lower()).strip(".-")[:80]
    path = unicodedata.normalize("NFKC", unquote(parts.path))
    words = re.sub(r"[^\w-]+", "-", path.removesuffix(Path(path).suffix)).strip("-_")
    stem = f"{words[-_STEM_CHARS:].strip('-_') or 'index'}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    return host or "host", f"{stem}{suffix}"


def write_origin(path: Path, origin: Origin, sha256: str) -> None:
    """Remember where the bytes of that hash, which are about to stand at `path`, come from."""
    content = {"address": origin.address, "fetched_at": origin.fetched_at, "sha256": sha256}
    hidden = hidden_beside(path)
    write_whole(hidden, json.dumps(content))


def read_origin(path: Path, sha256: str) -> Origin | None:
    """Return where a file comes from, if that is known and its bytes are still those."""
    try:
        content = json.loads(read_bytes(hidden_beside(path), limits=ReadLimits(bytes=_MAX_BYTES)))
        if content["sha256"] != sha256:
            return None
        origin = Origin(str(content["address"]), float(content["fetched_at"]))
        return origin if _NOTE.fullmatch(origin.note) else None
    except (Unreadable, ValueError, TypeError, KeyError, OverflowError, OSError):
        return None  # it is anybody's file


def notes_on_origin(path: Path, sha256: str) -> tuple[str, ...]:
    """Return what the catalogue keeps of where a file comes from; nothing of most files."""
    origin = read_origin(path, sha256)
    return () if origin is None else (origin.note,)


def hidden_beside(path: Path) -> Path:
    """Return the hidden file that belongs to a file."""
    return path.with_name(f".{path.name}.json")

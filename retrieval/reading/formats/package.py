"""The parts of an Office file and what they name (Open Packaging Conventions, ECMA-376 part 2)."""

import posixpath
import zipfile
import zlib
from typing import Any, NamedTuple

from retrieval.reading.formats.archive import DAMAGE, parse_xml, value

_MOST_RELATED = 10_000
"""Of one part: each may name a large one, and the same again."""


class Related(NamedTuple):
    """A part that another part names."""

    kind: str
    """The last word of the relationship's type: image, comments, chart."""
    id: str
    part: str


class Package:
    """An open Office file; a part that cannot be read costs itself only, and is noted."""

    def __init__(self, archive: zipfile.ZipFile, notes: list[str]) -> None:
        self._archive, self._notes = archive, notes
        self._names = frozenset(archive.namelist())

    def related(self, part: str) -> list[Related]:
        """Return what a part names inside the file, in the file's order; "" names the file's first parts."""
        folder, name = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{name}.rels")
        root = self.parse(place) if place in self._names else None
        found = []
        for relation in [] if root is None else root:
            target = value(relation, "Target") or ""
            if value(relation, "TargetMode") != "External":
                whole = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
                kind = (value(relation, "Type") or "").rpartition("/")[2]
                found.append(Related(kind, value(relation, "Id") or "", posixpath.normpath(whole)))
        return found[:_MOST_RELATED]

    def main(self, otherwise: str) -> str:
        """Return the part that the file is about."""
        return next((related.part for related in self.related("") if related.kind == "officeDocument"), otherwise)

    def parse(self, part: str) -> Any:
        """Return the root of a part's XML; None, and a note, where it cannot be read."""
        from lxml.etree import LxmlError

        try:
            return parse_xml(self._archive.read(part))
        except (LxmlError, zipfile.BadZipFile, zlib.error, *DAMAGE) as error:
            self._notes.append(f"its part {part} could not be read ({error})")
            return None

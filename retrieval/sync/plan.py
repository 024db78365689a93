"""What a sync has to do, worked out from what is known and what is seen. It opens no file and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from retrieval.catalogue.rows import Known
from retrieval.reading.prepare import kind_of
from retrieval.reading.recipe import Recipe
from retrieval.reading.walk import Entry, Walk

Recipes = Mapping[Literal["indexed", "skipped"], str]
"""By a file's state, the fingerprint of how it is read today; a row with another one has to be read again."""


@dataclass(frozen=True)
class Plan:
    """Each entry of a folder stands in one of `added`, `updated` and `refused`, or is left alone and counted."""

    added: tuple[Entry, ...]
    """Not known: each is read, unless it turns out to be one of `renameable`."""
    updated: tuple[Entry, ...]
    """Known, and size and times do not vouch for them: each is read if its bytes are others."""
    refused: tuple[Entry, ...]
    """New or changed, and not to be opened: each is listed as skipped, with its reason."""
    removed: Mapping[str, Known]
    """Gone from the folder, by source; a file that is found to be renamed is none of them any more."""
    renameable: Mapping[tuple[str, str], tuple[str, ...]]
    """By `kind_of`, the sources of those removed files whose content a new file may have."""
    before: Mapping[str, Known]
    """What is known of `updated` and `refused`, by source."""
    change_times: Mapping[str, Known]
    """Rows of files that are left alone and whose change time was not known yet, with it, by source."""
    unchanged: int
    """How many indexed files are left alone."""
    skipped: int
    """How many skipped files are left alone."""

    @property
    def total(self) -> int:
        """How many entries are not left alone."""
        return len(self.added) + len(self.updated) + len(self.refused)


def recipes_of(recipe: Recipe) -> Recipes:
    """Return the fingerprints that rows written today carry."""
    # What is too large under one limit may be read under another.
    return {"indexed": recipe.fingerprint, "skipped": f"{recipe.fingerprint} {recipe.max_bytes}"}


def plan(known: Mapping[str, Known], seen: Walk, recipes: Recipes, *, full: bool = False) -> Plan:
    """Return what to add, update, refuse, remove and leave alone, and which files may have been renamed.

    Args:
        known: All files of the catalogue, as they were before `seen` was.
        seen: The folder.
        recipes: How files are read today.
        full: Whether no size and no time vouches for a file's bytes: each is compared.
    """
    removed = {s: row for s, row in known.items() if s not in seen.entries and seen.saw(s)}
    renameable: dict[tuple[str, str], list[str]] = {}
    for source, row in removed.items():
        if row.state == "indexed" and row.recipe == recipes["indexed"]:
            renameable.setdefault(kind_of(source, row.sha256), []).append(source)
    added, updated, refused = list[Entry](), list[Entry](), list[Entry]()
    left = {"indexed": 0, "skipped": 0}
    before: dict[str, Known] = {}
    change_times: dict[str, Known] = {}
    for entry in seen.entries.values():
        last = known.get(entry.source)
        if last is not None and not full and is_same(last, entry, recipes):
            left[last.state] += 1
            if not last.ctime_ns and entry.ctime_ns:
                change_times[entry.source] = last._replace(ctime_ns=entry.ctime_ns)
            continue
        if last is not None:
            before[entry.source] = last
        (refused if entry.reason else added if last is None else updated).append(entry)
    refused.sort(key=lambda entry: entry.source in before)  # new ones first
    return Plan(
        added=tuple(added),
        updated=tuple(updated),
        refused=tuple(refused),
        removed=removed,
        renameable={kind: tuple(sources) for kind, sources in renameable.items()},
        before=before,
        change_times=change_times,
        unchanged=left["indexed"],
        skipped=left["skipped"],
    )


def is_same(row: Known, entry: Entry, recipes: Recipes) -> bool:
    """Return whether a file can be left alone, its bytes unseen."""
    return (
        (row.size, row.mtime_ns) == (entry.size, entry.mtime_ns)
        and row.ctime_ns in (0, entry.ctime_ns)
        and not row.recheck
        and row.recipe == recipes[row.state]
        and (not entry.reason or entry.reason == row.reason)
    )

"""Brings a dense index to where the catalogue is, without embedding. It opens no index and knows no engine."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.catalogue.catalogue import Catalogue
from retrieval.index.dense import DenseIndex
from retrieval.sync.missing_vectors import Progress

PAGE = 1000  # passages that are in memory at once


@dataclass(frozen=True)
class CaughtUp:
    """What was done."""

    written: int
    removed: int
    complete: bool
    """False where it was cancelled; the next time goes on from there."""


def catch_up(
    catalogue: Catalogue,
    index: DenseIndex,
    embedder: str,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> CaughtUp:
    """Take out what has gone, and write what is newer than the index's generation, oldest first.

    After each page the index stands at the generation up to which it has everything, so that whatever ends this early
    costs one page. What has gone is taken out before the first page, because after it nobody would look so far back.

    Args:
        catalogue: Where vectors and passages come from.
        index: Of this embedder's vectors.
        embedder: Its fingerprint.
        progress: Told after each page how many passages are written, and of how many.
        cancel: Set it to stop after the page at hand.

    Raises:
        ProjectionDamaged: The index cannot be trusted.
        EngineUnavailable: It does not answer.
    """
    target = catalogue.generation
    # Ahead of the catalogue means that an older copy of it was put back, in which numbers may mean other passages.
    since = index.generation if index.generation <= target else 0
    numbers, generations = (found.tolist() for found in catalogue.changed_since(since, places=index.keeps_passages))
    removed = _remove_gone(catalogue, index, since, embedder)
    written = 0
    for start in range(0, len(numbers), PAGE):
        if cancel is not None and cancel.is_set():
            return CaughtUp(written, removed, complete=False)
        end = min(start + PAGE, len(numbers))
        written += _write(catalogue, index, embedder, numbers[start:end])
        # The generation of the page's last passage may go on in the next one.
        if end < len(numbers) and since < (whole := generations[end] - 1) < target:
            index.commit(whole)
        if progress:
            progress("writing", end, len(numbers))
    index.commit(target)
    return CaughtUp(written, removed, complete=True)


def _write(catalogue: Catalogue, index: DenseIndex, embedder: str, page: Sequence[int]) -> int:
    found, vectors = catalogue.vectors(page, embedder)
    numbers = found.tolist()
    if index.keeps_passages:
        chunks = {chunk.number: chunk for chunk in catalogue.chunks(numbers)}
        # One that has gone between the two looks is the next one's to remove, if it is there.
        rows = [row for row, number in enumerate(numbers) if number in chunks]
        numbers, vectors = [numbers[row] for row in rows], vectors[rows]
        if numbers:
            index.add(numbers, vectors, [chunks[number] for number in numbers])
    elif numbers:
        index.add(numbers, vectors)
    return len(numbers)


def _remove_gone(catalogue: Catalogue, index: DenseIndex, since: int, embedder: str) -> int:
    changes = catalogue.changes_since(since)
    if not changes.rebuild and since:
        index.remove(changes.removed.tolist())
        return len(changes.removed)
    if not index.count:
        return 0
    # Further back than removals are remembered, or of another catalogue's past: only comparing tells.
    wanted = {int(number) for numbers, _ in catalogue.vector_pages(embedder) for number in numbers}
    surplus = sorted(set(index.numbers()) - wanted)
    index.remove(surplus)
    return len(surplus)

"""Keeps both projections of a catalogue where the catalogue is. Whoever uses it must hold the owner's lock.

It repairs without embedding: a projection that is damaged, foreign or too far behind is made anew from the catalogue.
"""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Changes
from retrieval.index.catch_up import catch_up
from retrieval.index.dense import DenseIndex
from retrieval.index.dense_location import DensePlace
from retrieval.index.engines.engine import EngineUnavailable
from retrieval.index.lexical import TantivyIndex
from retrieval.index.projection import ProjectionDamaged
from retrieval.index.searched_words import name_tokens, passage_tokens
from retrieval.store import EMBEDDED, Store

PAGE = 1000  # passages that are in memory at once
RETRY_S = 5.0  # for how long searches do not wait for an engine that was away


@dataclass(frozen=True)
class IndexComparison:
    """How one projection compares with the catalogue."""

    projection: str
    """lexical or dense."""
    held: int
    """Passages in it."""
    wanted: int
    """Passages that the catalogue has for it."""
    missing: int
    surplus: int
    problem: str = ""
    """Why it could not be opened or read, where it could not."""

    @property
    def sound(self) -> bool:
        """Whether nothing is to be repaired."""
        return not (self.missing or self.surplus or self.problem)


class Projections:
    """The lexical index, and the dense one as soon as an embedder is known; safe to use from several threads."""

    def __init__(self, catalogue: Catalogue, folder: Path, store: Store = EMBEDDED) -> None:
        """Open the lexical index below `folder`, or begin a new one there.

        Args:
            catalogue: What they are projections of.
            folder: For their files.
            store: Where the dense index lies; the lexical one is always here, so that words mean the same with each.
        """
        self._catalogue = catalogue
        self._folder = folder / catalogue.identity  # another catalogue's projections are never ours
        self._changing = threading.Lock()
        self._embedder: tuple[str, int] | None = None
        self._place = DensePlace(store, self._folder, catalogue.identity)
        self._dense: DenseIndex | None = None
        self._lexical = self._open_lexical()
        self.dense_problem = ""
        """Why the dense index cannot be used for now, where it cannot; it is tried again after a while."""
        self._retry_at = 0.0
        self.without_vector = 0
        """Passages that the dense index lacks because nobody has embedded them."""

    @property
    def lexical(self) -> TantivyIndex:
        """The lexical index, as it stood at the last `catch_up`."""
        return self._lexical

    @property
    def dense(self) -> DenseIndex | None:
        """The dense index likewise; none before an embedder is known, and while its engine is away."""
        return None if self.dense_problem else self._dense

    def use_embedder(self, fingerprint: str, dimension: int) -> None:
        """Open the dense index of this embedder's vectors."""
        with self._changing:
            if self._embedder != (fingerprint, dimension):
                if self._dense is not None:
                    self._dense.close()
                    self._dense = None
                self._embedder, self._retry_at = (fingerprint, dimension), 0.0
                self._try_dense(self._open_dense)
                self.without_vector = len(self._catalogue.chunks_without_vector(fingerprint))

    def dense_failed(self, error: EngineUnavailable) -> None:
        """Note that the dense index's engine is away; for a while nobody waits for it."""
        self.dense_problem, self._retry_at = str(error), time.monotonic() + RETRY_S

    def catch_up(self) -> None:
        """Bring both to the catalogue's generation; costs one small query where nothing has changed."""
        with self._changing:
            generation = self._catalogue.generation
            if self._lexical.generation != generation:
                self._bring_lexical()
            if self._embedder is not None and (self.dense_problem or self._generation_of_dense() != generation):
                self._try_dense(self._bring_dense)

    def compare(self) -> list[IndexComparison]:
        """Compare what is held with what should be, number by number; changes nothing but catches up first."""
        try:
            self.catch_up()
        except ProjectionDamaged as error:  # not even a new one could be made
            return [IndexComparison("lexical", 0, self._catalogue.counts().chunks, 0, 0, str(error))]
        findings = [_finding("lexical", self._lexical, set(map(int, self._catalogue.numbers())))]
        if self._embedder is not None:
            pages = self._catalogue.vector_pages(self._embedder[0], PAGE)
            wanted = {int(n) for numbers, _ in pages for n in numbers}
            if self.dense is None:
                findings.append(IndexComparison("dense", 0, len(wanted), len(wanted), 0, self.dense_problem))
            else:
                findings.append(_finding("dense", self.dense, wanted))
        return findings

    def rebuild(self) -> None:
        """Make both anew from the catalogue."""
        with self._changing:
            self._renew_lexical()
            self._bring_lexical()
            if self._embedder is not None:
                self._retry_at = 0.0
                self._try_dense(self._rebuild_dense)

    def close(self) -> None:
        """Let go of files and locks."""
        with self._changing:
            self._lexical.close()
            if self._dense is not None:
                self._dense.close()
                self._dense = None

    def _open_lexical(self) -> TantivyIndex:
        try:
            return TantivyIndex(self._folder / "lexical")
        except ProjectionDamaged:
            shutil.rmtree(self._folder / "lexical")
            return TantivyIndex(self._folder / "lexical")

    def _generation_of_dense(self) -> int | None:
        return None if self._dense is None else self._dense.generation

    def _try_dense(self, work: Callable[[], None]) -> None:
        """Do something with the dense index; its engine being away is a state, and does not stop the lexical one."""
        if time.monotonic() < self._retry_at:
            return
        try:
            work()
            self.dense_problem = ""
        except EngineUnavailable as error:
            self.dense_failed(error)

    def _open_dense(self) -> None:
        assert self._embedder is not None, "the dense index is one embedder's"
        if self._dense is None:
            self._dense = self._place.open(*self._embedder)

    def _renew_lexical(self) -> None:
        self._lexical.close()
        shutil.rmtree(self._folder / "lexical")
        self._lexical = self._open_lexical()

    def _renew_dense(self) -> None:
        assert self._embedder is not None, "there is one to renew"
        if self._dense is not None:
            self._dense.close()
            self._dense = None
        self._place.discard(self._embedder[0])
        self._open_dense()

    def _bring_lexical(self) -> None:
        """Apply what is newer than it, and begin anew where that is not possible."""
        changes = self._catalogue.changes_since(self._lexical.generation)
        if changes.rebuild:
            self._renew_lexical()
        try:
            self._apply_lexical(changes)
        except ProjectionDamaged:
            self._renew_lexical()
            self._apply_lexical(self._catalogue.changes_since(0))

    def _apply_lexical(self, changes: Changes) -> None:
        self._lexical.remove(changes.removed.tolist())
        added = changes.added.tolist()
        if not changes.rebuild:
            # Also those whose file has another name now.
            added, _ = (
                found.tolist() for found in self._catalogue.changed_since(self._lexical.generation, places=True)
            )
        for numbers in _pages(added):
            chunks = self._catalogue.chunks(numbers)
            self._lexical.add(
                [chunk.number for chunk in chunks],
                [passage_tokens(chunk) for chunk in chunks],
                [name_tokens(chunk) for chunk in chunks],
            )
        self._lexical.commit(changes.generation)

    def _bring_dense(self) -> None:
        assert self._embedder is not None, "the dense index is one embedder's"
        try:
            self._open_dense()
            self._write_dense()
        except ProjectionDamaged:
            self._rebuild_dense()
        self.without_vector = len(self._catalogue.chunks_without_vector(self._embedder[0]))

    def _rebuild_dense(self) -> None:
        self._renew_dense()
        self._write_dense()

    def _write_dense(self) -> None:
        assert self._dense is not None and self._embedder is not None, "there is one to bring forward"
        catch_up(self._catalogue, self._dense, self._embedder[0])


def _pages(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[i : i + PAGE] for i in range(0, len(numbers), PAGE)]


def _finding(name: str, index: TantivyIndex | DenseIndex, wanted: set[int]) -> IndexComparison:
    try:
        held = set(index.numbers())
    except (ProjectionDamaged, EngineUnavailable) as error:
        return IndexComparison(name, 0, len(wanted), len(wanted), 0, str(error))
    return IndexComparison(name, len(held), len(wanted), len(wanted - held), len(held - wanted))

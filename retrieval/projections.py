"""Keeps both projections of a catalogue where the catalogue is. Whoever uses it must hold the owner's lock.

It repairs without embedding: a projection that is damaged, foreign or too far behind is made anew from the catalogue.
"""

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.catalogue import Catalogue
from retrieval.dense import ChromaIndex
from retrieval.fill import text_to_embed
from retrieval.lexical import TantivyIndex
from retrieval.projection import ProjectionDamaged
from retrieval.rows import Changes
from retrieval.tokens import document_tokens

PAGE = 1000  # passages that are in memory at once


@dataclass(frozen=True)
class Finding:
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

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        """Open the lexical index below `folder`, or begin a new one there."""
        self._catalogue = catalogue
        self._folder = folder / catalogue.identity  # another catalogue's projections are never ours
        self._changing = threading.Lock()
        self._embedder: tuple[str, int] | None = None
        self._dense: ChromaIndex | None = None
        self._lexical = self._open_lexical()
        self.without_vector = 0
        """Passages that the dense index lacks because nobody has embedded them."""

    @property
    def lexical(self) -> TantivyIndex:
        """The lexical index, as it stood at the last `catch_up`."""
        return self._lexical

    @property
    def dense(self) -> ChromaIndex | None:
        """The dense index likewise; none before an embedder is known."""
        return self._dense

    def use_embedder(self, fingerprint: str, dimension: int) -> None:
        """Open the dense index of this embedder's vectors."""
        with self._changing:
            if self._embedder != (fingerprint, dimension):
                if self._dense is not None:
                    self._dense.close()
                self._embedder = (fingerprint, dimension)
                self._dense = self._open_dense()
                self.without_vector = len(self._catalogue.chunks_without_vector(fingerprint))

    def catch_up(self) -> None:
        """Bring both to the catalogue's generation; costs one small query where nothing has changed."""
        with self._changing:
            generation = self._catalogue.generation
            if self._lexical.generation != generation:
                self._bring_lexical()
            if self._dense is not None and self._dense.generation != generation:
                self._bring_dense()

    def compare(self) -> list[Finding]:
        """Compare what is held with what should be, number by number; changes nothing but catches up first."""
        try:
            self.catch_up()
        except ProjectionDamaged as error:  # not even a new one could be made
            return [Finding("lexical", 0, self._catalogue.counts().chunks, 0, 0, str(error))]
        findings = [_finding("lexical", self._lexical, set(map(int, self._catalogue.numbers())))]
        if self._dense is not None and self._embedder is not None:
            pages = self._catalogue.vector_pages(self._embedder[0], PAGE)
            findings.append(_finding("dense", self._dense, {int(n) for numbers, _ in pages for n in numbers}))
        return findings

    def rebuild(self) -> None:
        """Make both anew from the catalogue."""
        with self._changing:
            self._renew_lexical()
            self._bring_lexical()
            if self._dense is not None:
                self._renew_dense()
                self._bring_dense()

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

    def _open_dense(self) -> ChromaIndex:
        assert self._embedder is not None, "the dense index is one embedder's"
        fingerprint, dimension = self._embedder
        folder = self._dense_folder(fingerprint)
        try:
            return ChromaIndex(folder, fingerprint, dimension)
        except ProjectionDamaged:
            shutil.rmtree(folder)
            return ChromaIndex(folder, fingerprint, dimension)

    def _dense_folder(self, fingerprint: str) -> Path:
        return self._folder / f"dense-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"

    def _renew_lexical(self) -> None:
        self._lexical.close()
        shutil.rmtree(self._folder / "lexical")
        self._lexical = self._open_lexical()

    def _renew_dense(self) -> None:
        assert self._dense is not None and self._embedder is not None, "there is one to renew"
        self._dense.close()
        shutil.rmtree(self._dense_folder(self._embedder[0]))
        self._dense = self._open_dense()

    def _bring(self, generation: int, renew: Callable[[], None], apply: Callable[[Changes], None]) -> None:
        """Apply what is newer than `generation`, and begin anew where that is not possible."""
        changes = self._catalogue.changes_since(generation)
        if changes.rebuild:
            renew()
        try:
            apply(changes)
        except ProjectionDamaged:
            renew()
            apply(self._catalogue.changes_since(0))

    def _bring_lexical(self) -> None:
        self._bring(self._lexical.generation, self._renew_lexical, self._apply_lexical)

    def _apply_lexical(self, changes: Changes) -> None:
        self._lexical.remove(changes.removed.tolist())
        for numbers in _pages(changes.added.tolist()):
            chunks = self._catalogue.chunks(numbers)
            tokens = [document_tokens(text_to_embed(c.headings, c.text)) for c in chunks]
            self._lexical.add([c.number for c in chunks], tokens)
        self._lexical.commit(changes.generation)

    def _bring_dense(self) -> None:
        assert self._dense is not None and self._embedder is not None, "there is one to bring forward"
        self._bring(self._dense.generation, self._renew_dense, self._apply_dense)
        self.without_vector = len(self._catalogue.chunks_without_vector(self._embedder[0]))

    def _apply_dense(self, changes: Changes) -> None:
        assert self._dense is not None and self._embedder is not None, "there is one to bring forward"
        self._dense.remove(changes.removed.tolist())
        for page in _pages(changes.added.tolist()):
            numbers, vectors = self._catalogue.vectors(page, self._embedder[0])
            self._dense.add(numbers.tolist(), vectors)
        self._dense.commit(changes.generation)


def _pages(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[i : i + PAGE] for i in range(0, len(numbers), PAGE)]


def _finding(name: str, index: TantivyIndex | ChromaIndex, wanted: set[int]) -> Finding:
    try:
        held = set(index.numbers())
    except ProjectionDamaged as error:
        return Finding(name, 0, len(wanted), len(wanted), 0, str(error))
    return Finding(name, len(held), len(wanted), len(wanted - held), len(held - wanted))

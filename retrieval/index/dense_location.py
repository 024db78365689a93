"""Where the dense indexes of one catalogue lie: in a folder, or in an engine. It does not know what they hold."""

import hashlib
import shutil
from pathlib import Path

from retrieval.index.dense import ChromaIndex, DenseIndex
from retrieval.index.projection import ProjectionDamaged
from retrieval.store import Store


class DensePlace:
    """Opens and removes the index of an embedder's vectors."""

    def __init__(self, store: Store, folder: Path, identity: str) -> None:
        """Open nothing yet.

        Args:
            store: Which engine.
            folder: For the embedded one.
            identity: The catalogue's: in an engine that several share, it tells their indexes apart.
        """
        self._store, self._folder, self._identity = store, folder, identity

    def open(self, fingerprint: str, dimension: int) -> DenseIndex:
        """Open the index; a damaged one is begun anew.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        try:
            return self._open(fingerprint, dimension)
        except ProjectionDamaged:
            self.discard(fingerprint)
            return self._open(fingerprint, dimension)

    def discard(self, fingerprint: str) -> None:
        """Remove the index, which must be closed.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        if self._store.engine == "chroma":
            shutil.rmtree(self._folder_of(fingerprint), ignore_errors=True)
        else:
            from retrieval.index.engines.open import discard

            discard(self._store, self._name(fingerprint))

    def _open(self, fingerprint: str, dimension: int) -> DenseIndex:
        if self._store.engine == "chroma":
            return ChromaIndex(self._folder_of(fingerprint), fingerprint, dimension)
        from retrieval.index.engines.open import open_engine

        return open_engine(self._store, self._name(fingerprint), dimension)

    def _name(self, fingerprint: str) -> str:
        return f"{self._identity}, {fingerprint}"

    def _folder_of(self, fingerprint: str) -> Path:
        return self._folder / f"dense-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"

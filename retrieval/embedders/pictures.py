"""Turns pictures into vectors, by a sentence-transformers model that takes them: CLIP and its like, Qwen3-VL-Embedding.

Downloads nothing and runs no code that a model brings along.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.safe_text import first_sentence
from retrieval.embedders.embedder import EmbedderMissing
from retrieval.embedders.sentence_transformers import found_model
from retrieval.on_disk import digest
from retrieval.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from PIL import Image

_BATCH = 8


class PictureEmbedder:
    """A model of pictures. Letters: N pictures, D dimensions."""

    def __init__(self, name: str) -> None:
        """Load the model; takes seconds to minutes.

        Raises:
            EmbedderMissing: The package or the model is not on this machine, or it takes no pictures.
        """
        from PIL import Image

        folder, open_model = found_model(name)
        try:
            self._model = open_model()
            self.dimension = self.embed([Image.new("RGB", (64, 64), "grey")]).shape[1]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            why = f"{first_sentence(error)}; is {str(folder)!r} a sentence-transformers model that takes pictures?"
            raise EmbedderMissing(name, why) from error
        self.fingerprint = f"{folder.name}:{digest(folder)}"

    def embed(self, pictures: "Sequence[Image.Image]") -> Vectors:
        """Return the vectors of RGB pictures, float32, (N, D), each of length 1."""
        vectors = self._model.encode(list(pictures), batch_size=_BATCH, show_progress_bar=False)
        return unit_rows(np.asarray(vectors, np.float32))

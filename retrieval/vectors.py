"""The form of vectors between embedders, catalogue and index: float32 rows of length 1."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""(N, D), or (D,) for one."""


def unit_rows(vectors: Vectors) -> Vectors:
    """Scale each row to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)

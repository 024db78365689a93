"""Narrows the box of a line that a detector found to the ink of the line; detectors leave a rim around it.

It knows pixels and no words. Where ink reaches an edge, as beside a table's rule, that edge stays.
"""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_INK = 0.35  # of the strongest contrast with the ground
_FAINT = 24  # grey values; less contrast is no ink
_MOST = 0.35  # of the box's height: a rim is not wider


def ink_corners(grey: Image.Image, corners: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the corners of the smallest box around a line's ink, turned as the line's box is.

    Args:
        grey: The picture, L.
        corners: Of the line's box, from the upper left one on, clockwise as it is read; (4, 2).
    """
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = corners
    wide, high = round(hypot(x2 - x1, y2 - y1)), round(hypot(x4 - x1, y4 - y1))
    if min(wide, high) < 3:
        return [(x, y) for x, y in corners]
    flat = grey.transform(
        (wide, high), Image.Transform.QUAD, (x1, y1, x4, y4, x3, y3, x2, y2), Image.Resampling.BILINEAR
    )
    inked = _inked(np.asarray(flat, np.int16))
    most = round(_MOST * high)
    left, right = (at / wide for at in _ends(np.any(inked, axis=0), most))
    top, bottom = (at / high for at in _ends(np.any(inked, axis=1), most))

    def at(u: float, v: float) -> tuple[float, float]:
        return x1 + u * (x2 - x1) + v * (x4 - x1), y1 + u * (y2 - y1) + v * (y4 - y1)

    return [at(left, top), at(right, top), at(right, bottom), at(left, bottom)]


def _inked(pixels: NDArray[np.int16]) -> NDArray[np.bool_]:
    contrast = np.abs(pixels - np.median(pixels))
    return contrast > max(_FAINT, _INK * float(contrast.max()))


def _ends(inked: NDArray[np.bool_], most: int) -> tuple[int, int]:
    """Return the first that has ink, and one after the last; neither more than `most` from its end."""
    places = np.flatnonzero(inked)
    if not len(places):
        return 0, len(inked)
    return min(int(places[0]), most), max(int(places[-1]) + 1, len(inked) - most)

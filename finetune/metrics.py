"""Measures of answers against references. It loads no model."""

from collections.abc import Sequence


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return intersection over union of two boxes (x1, y1, x2, y2), 0 where they do not meet."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)

"""Boxes in answers against boxes in references, in thousandths of the picture as Qwen3-VL writes them.

It looks at no picture and loads no model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune.evaluation.metrics.find_boxes import find_boxes
from model.pictures.boxes import GroundedBox

if TYPE_CHECKING:
    from finetune.evaluation.metrics.metric import Answered

RIGHT_FROM = 0.5
"""Intersection over union from which a box is found (Everingham et al., "The PASCAL VOC challenge", 2010, 4.2)."""


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return intersection over union of two boxes (x1, y1, x2, y2), 0 where they do not meet."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def box_iou(rows: "Sequence[Answered]") -> list[float]:
    """Return the mean intersection over union of each row's boxes in percent; a box too many or too few counts 0."""
    return [100 * sum(overlaps) / len(overlaps) for overlaps in map(matched, rows)]


def box_accuracy(rows: "Sequence[Answered]") -> list[float]:
    """Return the share of each row's boxes that meet theirs by half at least, in percent; as `box_iou` counts them."""
    return [100 * sum(overlap >= RIGHT_FROM for overlap in overlaps) / len(overlaps) for overlaps in map(matched, rows)]


def matched(row: "Answered") -> list[float]:
    """Return the overlap of every box: each right one with the answered one that is its own.

    Right and answered boxes are put together one to one so that the sum of overlaps is greatest (H. W. Kuhn, "The
    Hungarian method for the assignment problem", 1955). Boxes of different labels go together only where one of the
    labels is empty or there is a single box on either side.

    Returns:
        As many overlaps as there are boxes on the side that has more of them, 0 for those that are left over.
    """
    from scipy.optimize import linear_sum_assignment

    right, given = find_boxes(row.answer), find_boxes(row.prediction)
    overlaps = [0.0] * max(len(right), len(given))
    if not given:
        return overlaps
    single = len(right) == len(given) == 1
    table = [[iou(_corners(a), _corners(b)) if single or _same_label(a, b) else 0.0 for b in given] for a in right]
    for number, (i, j) in enumerate(zip(*linear_sum_assignment(table, maximize=True), strict=True)):
        overlaps[number] = table[i][j]
    return overlaps


def _corners(box: GroundedBox) -> tuple[int, int, int, int]:
    return box.x1, box.y1, box.x2, box.y2


def _same_label(a: GroundedBox, b: GroundedBox) -> bool:
    first, second = a.label.strip().casefold(), b.label.strip().casefold()
    return first == second or not first or not second

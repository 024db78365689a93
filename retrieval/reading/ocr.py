"""Reads the printed words of a picture, Chinese and English, with the models that come inside RapidOCR.

One engine a process, loaded at the first picture; nothing is fetched, nothing is written to stdout. It opens no file.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_MIN_SCORE = 0.6
# In photographs, a single character is mostly a coin, a cup or an eye.
_MIN_SCORE_OF_ONE = 0.95
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
# Narrower than this, a picture has no legible word, and the detector divides by it.
_MIN_SIDE = 8

# The engine keeps the picture's sizes in itself while it reads.
_reading = threading.Lock()


@dataclass(frozen=True)
class OcrLine:
    """A run of words that stands together."""

    text: str
    score: float
    """0 to 1: how sure the recogniser is."""
    box: tuple[int, int, int, int]
    """x1, y1, x2, y2 in pixels of the picture."""


def read_picture(image: "Image.Image") -> list[OcrLine]:
    """Return the lines of an RGB picture from top to bottom, those beside each other from left to right."""
    import numpy as np

    if min(image.size) < _MIN_SIDE:
        return []
    pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]  # (height, width, BGR)
    with _reading:
        found = _engine()(np.ascontiguousarray(pixels))
    if found.boxes is None or not found.txts:
        return []
    lines = [
        OcrLine(text.strip(), float(score), _bounds(corners))
        for corners, text, score in zip(found.boxes.tolist(), found.txts, found.scores, strict=True)
        if text.strip() and score >= (_MIN_SCORE if len(text.strip()) > 1 else _MIN_SCORE_OF_ONE)
    ]
    return [line for row in _rows(lines) for line in row]


def lines_to_text(lines: Sequence[OcrLine]) -> str:
    """Write what stands beside each other on one line, as in the picture."""
    return "\n".join("  ".join(line.text for line in row) for row in _rows(lines))


def _rows(lines: Sequence[OcrLine]) -> list[list[OcrLine]]:
    """Group lines whose middles lie within half a line's height of the row's first."""
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: (line.box[1] + line.box[3], line.box[0])):
        if rows and _is_beside(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def _is_beside(first: OcrLine, line: OcrLine) -> bool:
    height = min(first.box[3] - first.box[1], line.box[3] - line.box[1])
    middles = (line.box[1] + line.box[3] - first.box[1] - first.box[3]) / 2
    return abs(middles) <= height / 2


def _bounds(corners: list[list[float]]) -> tuple[int, int, int, int]:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))


@cache
def _engine() -> Any:
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    # Named, because RapidOCR fetches a model that it has to look for and does not find.
    paths = {f"{part}.model_path": str(models / name) for part, name in _MODELS.items()}
    return rapidocr.RapidOCR(params={"Global.log_level": "critical", **paths})

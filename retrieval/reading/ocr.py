"""Reads the printed words of a picture, Chinese and English, with the models that come inside RapidOCR.

One engine a process, loaded at the first picture; nothing is fetched, nothing is written to stdout. It opens no file.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.reading.layout import Run, in_reading_order, rows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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
# Pixels: the engine shrinks what is longer than 2,000, and small letters with it.
_TILE = 1_600
_TILE_OVERLAP = 120
_ENLARGED_BELOW = 736  # pixels of the shorter side
# A line less sure than this may be printed the other way up.
_SURE = 0.8

# The engine keeps the picture's sizes in itself while it reads.
_reading = threading.Lock()


@dataclass(frozen=True)
class OcrLine:
    """A run of words that stands together."""

    text: str
    score: float
    """0 to 1: how sure the recogniser is."""
    box: tuple[int, int, int, int]
    """x1, y1, x2, y2 in pixels of the picture, with the rim that the detector leaves."""
    ink: tuple[int, int, int, int] | None = None
    """The same without the rim; None where that is not known."""


@dataclass(frozen=True)
class Reading:
    """What was read in a picture."""

    lines: list[OcrLine]
    unread: int = 0
    """Lines that were seen and could not be read: too small, by hand, or in a script that the models do not know."""
    turned: int = 0
    """Degrees by which the picture was turned first."""

    @property
    def weight(self) -> float:
        """Characters read, each by how surely."""
        return sum(len(line.text) * line.score**4 for line in self.lines)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what was not read."""
        if not self.unread or self.unread <= len(self.lines):
            return ()
        return (f"{self.unread:,} lines were seen that could not be read: OCR knows Chinese and Latin letters only",)


def read_picture(image: "Image.Image") -> list[OcrLine]:
    """Return the lines of an RGB picture from top to bottom, those beside each other from left to right."""
    return look_at(image).lines


def look_at(image: "Image.Image") -> Reading:
    """Read a picture: tall ones in tiles, one that stands on its head or lies on its side turned.

    The boxes of a picture that was turned are those of the turned picture.
    """
    if min(image.size) < _MIN_SIDE:
        return Reading([])
    image = image.convert("RGB")
    found, tall, doubtful = _tiles(image)
    turns: tuple[int, ...] = (90, 270) if tall else (180,) if doubtful else ()
    best = found
    for degrees in turns:
        lines, _, _ = _tiles(image.rotate(degrees, expand=True))
        other = replace(lines, turned=degrees)
        if other.weight > 1.1 * best.weight:
            best = other
    return best


def _tiles(image: "Image.Image") -> tuple[Reading, bool, bool]:
    width, height = image.size
    if height <= _TILE or height <= 2 * width:
        return _read(image)
    lines: list[OcrLine] = []
    unread = 0
    step = _TILE - _TILE_OVERLAP
    tops = range(0, max(1, height - _TILE_OVERLAP), step)
    for top in tops:
        bottom = min(height, top + _TILE)
        found, _, _ = _read(image.crop((0, top, width, bottom)))
        # A line in the overlap belongs to the tile that its middle is deeper in.
        first = top + _TILE_OVERLAP / 2 if top else 0.0
        last = bottom - _TILE_OVERLAP / 2 if bottom < height else height
        for line in found.lines:
            x1, y1, x2, y2 = line.box
            if first <= top + (y1 + y2) / 2 < last:
                ink = line.ink and (line.ink[0], line.ink[1] + top, line.ink[2], line.ink[3] + top)
                lines.append(OcrLine(line.text, line.score, (x1, y1 + top, x2, y2 + top), ink))
        unread += found.unread
    return Reading(_ordered(lines), unread), False, False


def _widened(pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Give a small strip, (height, width, 3), ground on its right or below, until its sides are as 1 to 2.

    The detector enlarges a picture until its shorter side has `_ENLARGED_BELOW` pixels: a strip of 640 by 100 would
    become one of 4,710 by 736, and take three times as long without a word more.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    down, right = max(0, width // 2 - height), max(0, height // 2 - width)
    if min(height, width) >= _ENLARGED_BELOW or not down + right:
        return pixels
    edge = pixels[-1] if down else pixels[:, -1]
    ground = np.median(edge, axis=0).astype(np.uint8)
    wide = np.empty((height + down, width + right, 3), np.uint8)
    wide[:] = ground
    wide[:height, :width] = pixels
    return wide


def _read(image: "Image.Image") -> tuple[Reading, bool, bool]:
    """Return what was read, whether it seems to lie on its side, and whether it may stand on its head."""
    import numpy as np

    from retrieval.reading.ocr_ink import ink_corners

    pixels = _widened(np.asarray(image)[:, :, ::-1])  # (height, width, BGR)
    with _reading:
        found = _engine()(np.ascontiguousarray(pixels))
    if found.boxes is None or not found.txts:
        return Reading([]), False, False
    lines: list[OcrLine] = []
    grey = image.convert("L")
    unread = tall = 0
    for corners, text, score in zip(found.boxes.tolist(), found.txts, found.scores, strict=True):
        text, box = text.strip(), _bounds(corners)
        tall += box[3] - box[1] > 2 * (box[2] - box[0])
        if text and score >= (_MIN_SCORE if len(text) > 1 else _MIN_SCORE_OF_ONE):
            lines.append(OcrLine(text, float(score), box, _bounds(ink_corners(grey, corners))))
        elif box[2] - box[0] > 2 * (box[3] - box[1]):
            unread += 1
    doubtful = bool(unread) or any(line.score < _SURE for line in lines)
    return Reading(_ordered(lines), unread), tall > len(found.txts) / 2, doubtful


def lines_to_text(lines: Sequence[OcrLine]) -> str:
    """Write what stands beside each other on one line, as in the picture; columns of prose one after the other."""
    rows = in_reading_order([Run(line.text, *line.box) for line in lines])
    return "\n".join("  ".join(run.text for run in row) for row in rows)


def _ordered(lines: list[OcrLine]) -> list[OcrLine]:
    rows = rows_of([Run(line.text, *line.box, order=n) for n, line in enumerate(lines)])
    return [lines[run.order] for row in rows for run in row]


def _bounds(corners: Sequence[Sequence[float]]) -> tuple[int, int, int, int]:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))


@cache
def _engine() -> Any:
    import rapidocr

    models = Path(rapidocr.__file__).parent / "models"
    # Named, because RapidOCR fetches a model that it has to look for and does not find.
    paths = {f"{part}.model_path": str(models / name) for part, name in _MODELS.items()}
    return rapidocr.RapidOCR(params={"Global.log_level": "critical", "Global.text_score": 0.0, **paths})

"""Pictures in the size in which the model reads them, so that OpenVINO GenAI has nothing left to resize.

Its own resizing is another one than the checkpoint's (no antialiasing), with which boxes and small print would move.
Here the sizes and the pixels are those of transformers' `Qwen2VLImageProcessorPil`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from model.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ASPECT_RATIO = 200  # as transformers


@dataclass(frozen=True)
class PictureSizes:
    """Which sizes of pictures the model reads."""

    side: int
    """Sides are multiples of it, in pixels: a patch times the patches that become one token."""
    min_pixels: int
    max_pixels: int

    @classmethod
    def of(cls, config: Mapping[str, Any], max_pixels: int | None) -> "PictureSizes":
        """Return the sizes of a `preprocessor_config.json` under a lower budget, if there is one."""
        size = config.get("size") or {}
        least = int(config.get("min_pixels") or size["shortest_edge"])
        most = int(config.get("max_pixels") or size["longest_edge"])
        side = int(config["patch_size"]) * int(config["merge_size"])
        # GenAI scales up what is below the least, so the budget cannot go below it.
        return cls(side, least, most if max_pixels is None else min(most, max(max_pixels, least)))

    def fitted(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in which a picture is read.

        Raises:
            ImageError: The sides are more than 200 to 1.
        """
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            raise ImageError("picture_too_thin", width=width, height=height, limit=MAX_ASPECT_RATIO)
        side = self.side
        new_height, new_width = round(height / side) * side, round(width / side) * side
        if new_height * new_width > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            new_height = max(side, math.floor(height / shrink / side) * side)
            new_width = max(side, math.floor(width / shrink / side) * side)
        elif new_height * new_width < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            new_height = math.ceil(height * grow / side) * side
            new_width = math.ceil(width * grow / side) * side
        return new_width, new_height

    def tokens(self, width: int, height: int) -> int:
        """Return how many tokens a fitted picture takes."""
        return (width // self.side) * (height // self.side)

    def pixels(self, picture: Image.Image) -> "NDArray[np.uint8]":
        """Return a picture's pixels in the size in which it is read, (1, height, width, 3)."""
        size = self.fitted(*picture.size)
        rgb = picture.convert("RGB")
        if rgb.size != size:
            rgb = rgb.resize(size, Image.Resampling.BICUBIC)
        return np.asarray(rgb, dtype=np.uint8)[None]

"""How large one frame of a film may be, whatever the number of frames. It opens no picture."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FrameBudget:
    """Pixels of a frame, as LLaMA-Factory's video_max_pixels and video_min_pixels mean them."""

    most: int | None = None
    """Larger frames are scaled down to it; none = only the checkpoint's own budget holds."""
    least: int | None = None
    """Smaller ones are scaled up to it."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in which a frame is given to the processor, its shape kept.

        Source: LLaMA-Factory `data/mm_plugin.py::MMPluginMixin._preprocess_image`.
        """
        if self.most is not None and width * height > self.most:
            width, height = _scaled(width, height, self.most)
        if self.least is not None and width * height < self.least:
            width, height = _scaled(width, height, self.least)
        return width, height


def _scaled(width: int, height: int, pixels: int) -> tuple[int, int]:
    factor = math.sqrt(pixels / (width * height))
    return max(1, int(width * factor)), max(1, int(height * factor))

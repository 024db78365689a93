"""Turns lists of frames into Qwen3-VL's video patches with numpy and PIL alone.

Takes the place of transformers' video processor, which needs torchvision. Decodes no video file and samples no
frames: what is given is what is looked at. Letters: T frames, H and W pixels, P patch, M merge, K temporal patch.
"""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import BatchFeature
from transformers.video_utils import VideoMetadata

FRAMES_PER_SECOND = 2.0  # at which Qwen3-VL samples a video; the rate assumed for frames that come without one


class FrameKwargs(TypedDict, total=False):
    """What a call may set; `ProcessorMixin` reads the names to route its keyword arguments."""

    size: dict[str, int]
    video_metadata: list[VideoMetadata]


def fit(frames: int, height: int, width: int, *, factor: int, temporal: int, least: int, most: int) -> tuple[int, int]:
    """Return (height, width), multiples of `factor`, so that all frames together have `least` to `most` pixels.

    The rounding is that of `smart_resize` in transformers' `video_processing_qwen3_vl`, so that both processors give
    the same grid.
    """
    if min(height, width) < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    volume = round(frames / temporal) * temporal * rows * columns
    if volume > most:
        shrink = math.sqrt(frames * height * width / most)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif volume < least:
        grow = math.sqrt(least / (frames * height * width))
        rows, columns = math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return rows, columns


class FrameProcessor:
    """A video processor in the eyes of `Qwen3VLProcessor`: called with videos, it returns patches and their grid."""

    valid_kwargs = FrameKwargs
    model_input_names = ("pixel_values_videos", "video_grid_thw")

    def __init__(
        self,
        *,
        patch_size: int,
        temporal_patch_size: int,
        merge_size: int,
        size: dict[str, int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """Keep the sizes; `size` has `shortest_edge` and `longest_edge`, both in pixels of all frames together."""
        self.patch_size = patch_size
        self.temporal_patch_size = temporal_patch_size
        self.merge_size = merge_size
        self.size = size
        self.mean = np.asarray(mean, dtype=np.float32)
        self.std = np.asarray(std, dtype=np.float32)

    def __call__(
        self,
        videos: Any,
        *,
        size: dict[str, int] | None = None,
        video_metadata: list[VideoMetadata] | None = None,
        **_: Any,
    ) -> BatchFeature:
        """Return `pixel_values_videos` (N, 3*K*P*P), `video_grid_thw` (V, 3) and `video_metadata` of V videos.

        Args:
            videos: One list of frames a video, each frame a PIL picture or an (H, W, 3) array of bytes; may be nested
                once more, one list a conversation.
            size: Pixel budget of each video instead of the own one.
            video_metadata: Times of the frames; without it they are `FRAMES_PER_SECOND` apart.
        """
        import torch

        flat = _one_list(videos)
        patches, grids = zip(*(self._patches(frames, size or self.size) for frames in flat), strict=True)
        metadata = video_metadata or [frame_times(len(frames), FRAMES_PER_SECOND) for frames in flat]
        return BatchFeature(
            {
                "pixel_values_videos": torch.from_numpy(np.concatenate(patches)),
                "video_grid_thw": torch.tensor(grids, dtype=torch.int64),
                "video_metadata": metadata,
            }
        )

    def _patches(self, frames: Sequence[Any], size: dict[str, int]) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
        pictures = [frame if isinstance(frame, Image.Image) else Image.fromarray(np.asarray(frame)) for frame in frames]
        p, k, m = self.patch_size, self.temporal_patch_size, self.merge_size
        rows, columns = fit(
            max(len(pictures), k), pictures[0].height, pictures[0].width,
            factor=p * m, temporal=k, least=size["shortest_edge"], most=size["longest_edge"],
        )  # fmt: skip
        resized = [picture.convert("RGB").resize((columns, rows), Image.Resampling.BICUBIC) for picture in pictures]
        resized += [resized[-1]] * (-len(resized) % k)  # the last frame stands still until the temporal patch is full
        values = np.stack([np.asarray(frame) for frame in resized]).astype(np.float32) / np.float32(255)  # (T, H, W, 3)
        values = (values - self.mean) / self.std
        times, high, wide = len(resized) // k, rows // p, columns // p
        values = values.transpose(0, 3, 1, 2)  # (T, 3, H, W)
        values = values.reshape(times, k, 3, high // m, m, p, wide // m, m, p)
        # the order of the model: time, rows and columns of merged blocks, rows and columns in a block | 3, K, P, P
        values = values.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return values.reshape(times * high * wide, 3 * k * p * p), (times, high, wide)


def frame_times(frames: int, fps: float) -> VideoMetadata:
    """Return the metadata of frames that follow one another at `fps` a second; the prompt's time stamps come of it."""
    return VideoMetadata(total_num_frames=frames, fps=fps, frames_indices=list(range(frames)), duration=frames / fps)


def shown_at(times_s: Sequence[float]) -> VideoMetadata:
    """Return the metadata of frames that are shown at these seconds: thousandths of a second count as frames."""
    last = round(times_s[-1] * 1000)
    return VideoMetadata(
        total_num_frames=last + 1, fps=1000.0, frames_indices=[round(time * 1000) for time in times_s],
        duration=times_s[-1],
    )  # fmt: skip


def _one_list(videos: Any) -> list[Any]:
    """Undo one nesting: [[video, ...] of each conversation] becomes [video, ...]."""
    first = videos[0][0]
    nested = isinstance(first, (list, tuple)) or getattr(first, "ndim", 0) == 4
    return [video for group in videos for video in group] if nested else list(videos)

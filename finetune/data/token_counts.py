"""Counts the tokens of samples as `model.qwen3_vl.processor.encode` would make them, from the sizes of pictures alone.

It decodes no picture and builds no patches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from finetune.data.pictures import picture_size
from finetune.data.sample import Frames, ImageFile, Message, Sample

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor

    from model.pictures.frame_budget import FrameBudget


Fate = Literal["whole", "cut", "refused"]
"""What a row comes to: all of it, without its last words, or nothing, because pictures and answers begin too late."""


@dataclass(frozen=True)
class Tokens:
    """What a sample is long."""

    total: int
    """The whole conversation."""
    pictures: int
    """Of its pictures and videos, time stamps included; never cut."""
    answer: int
    """Of the last answer, the end of its turn included."""

    @property
    def prompt(self) -> int:
        """What stands before the last answer: it must fit for the sample to be used at all."""
        return self.total - self.answer


class TokenCounter:
    """Counts with one model's processor."""

    def __init__(
        self,
        processor: "Qwen3VLProcessor",
        *,
        max_pixels: int | None = None,
        frames: "FrameBudget | None" = None,
        sizes: Mapping[Path, tuple[int, int]] | None = None,
    ) -> None:
        """Keep what is needed.

        Args:
            processor: What `model.qwen3_vl.processor.load_processor` returned.
            max_pixels: Budget of a picture and of a frame, as `encode` takes it.
            frames: Of a frame instead of that.
            sizes: (width, height) of pictures that are known already; others are looked up in their files.
        """
        self._processor, self._max_pixels, self._frames = processor, max_pixels, frames
        self._sizes = dict(sizes or {})

    def count(self, sample: Sample) -> Tokens:
        """Return the sample's tokens.

        Raises:
            Unusable: A picture whose size is not known yet cannot be read.
        """
        pictures = sum(self._of_part(part) for message in sample.messages for part in message.parts)
        total = self._length(sample.messages, prompt=False)
        return Tokens(total, pictures, total - self._length(sample.messages[:-1], prompt=True))

    def fate(self, sample: Sample, cutoff_len: int) -> Fate:
        """Return what training (`finetune.training.encoding`) does with the sample when rows are cut at `cutoff_len`.

        Raises:
            Unusable: A picture whose size is not known yet cannot be read.
        """
        if self.count(sample).total <= cutoff_len:
            return "whole"
        first = next(place for place, message in enumerate(sample.messages) if message.role == "assistant")
        if self._length(sample.messages[:first], prompt=True) >= cutoff_len:
            return "refused"
        return "refused" if self._through_pictures(sample) >= cutoff_len else "cut"

    def _through_pictures(self, sample: Sample) -> int:
        """Return the tokens up to the one that closes the last picture."""
        shown = [
            (place, number)
            for place, message in enumerate(sample.messages)
            for number, part in enumerate(message.parts)
            if not isinstance(part, str)
        ]
        if not shown:
            return 0
        place, number = shown[-1]
        last = sample.messages[place]
        end_of_turn = 2  # <|im_end|> and the line break behind it
        cut = (*sample.messages[:place], Message(last.role, last.parts[: number + 1]))
        around = isinstance(last.parts[number], Frames)  # each frame has its own end, the video one around all
        return self._length(cut, prompt=False) - end_of_turn - around

    def _length(self, messages: tuple[Message, ...], *, prompt: bool) -> int:
        parts = [part for message in messages for part in message.parts if not isinstance(part, str)]
        return self._encoded(messages, prompt=prompt) - len(parts) + sum(self._of_part(part) for part in parts)

    def _encoded(self, messages: tuple[Message, ...], *, prompt: bool) -> int:
        """Return the length of the conversation with one token a picture or video."""
        turns = [{"role": m.role, "content": [_block(part) for part in m.parts]} for m in messages]
        ids: Any = self._processor.tokenizer.apply_chat_template(
            turns,
            chat_template=self._processor.chat_template,
            tokenize=True,
            return_dict=False,
            add_generation_prompt=prompt,
            sanitize_control_tokens=True,
        )
        return len(ids)

    def _of_part(self, part: object) -> int:
        if isinstance(part, ImageFile):
            return self._of_picture(part.path)
        return self._of_video(part) if isinstance(part, Frames) else 0

    def _of_picture(self, path: Path) -> int:
        width, height = self._size(path)
        images = self._processor.image_processor
        size = self._at_most(images.size, self._max_pixels)
        options = {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
        patches: int = images.get_number_of_image_patches(height, width, options)
        return patches // images.merge_size**2

    def _of_video(self, video: Frames) -> int:
        """Return the tokens of a video: each pair of frames has its time stamp, an opening and a closing token."""
        from model.qwen3_vl.video_frames import FRAMES_PER_SECOND, fit, frame_times

        frames = max(2, len(video.paths))  # one frame stands still
        width, height = self._size(video.paths[0])
        videos = self._processor.video_processor
        pixels = self._max_pixels
        if self._frames is not None:
            (width, height), pixels = self._frames.size(width, height), None
        budget = self._at_most(videos.size, None if pixels is None else pixels * frames)
        k, m = videos.temporal_patch_size, videos.merge_size
        factor = videos.patch_size * m
        rows, columns = fit(
            frames, height, width, factor=factor, temporal=k,
            least=budget["shortest_edge"], most=budget["longest_edge"],
        )  # fmt: skip
        each = rows * columns // factor**2
        times = self._processor._calculate_timestamps(
            list(frame_times(frames, FRAMES_PER_SECOND).frames_indices or []), FRAMES_PER_SECOND, k
        )
        stamps = [
            len(self._processor.tokenizer(f"<{t:.1f} seconds>", add_special_tokens=False).input_ids) for t in times
        ]
        return sum(stamps) + len(times) * (each + 2)

    def _size(self, path: Path) -> tuple[int, int]:
        if path not in self._sizes:
            self._sizes[path] = picture_size(path)
        return self._sizes[path]

    @staticmethod
    def _at_most(size: Any, pixels: int | None) -> dict[str, int]:
        least, most = size["shortest_edge"], size["longest_edge"]
        return {
            "shortest_edge": least if pixels is None else min(least, pixels),
            "longest_edge": most if pixels is None else min(most, pixels),
        }


def _block(part: object) -> dict[str, str]:
    if isinstance(part, ImageFile):
        return {"type": "image"}
    return {"type": "video"} if isinstance(part, Frames) else {"type": "text", "text": str(part)}

"""Qwen3-VL's processor for pictures and lists of frames, with or without torchvision.

transformers' own video processor needs torchvision; without it `AutoProcessor` fails or silently returns the bare
tokenizer. The classes here keep every other part of `Qwen3VLProcessor` as it is. Opens no files of pictures and
knows no model.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import BatchFeature, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from model.errors import ImageError
from model.pictures.frame_budget import FrameBudget
from model.qwen3_vl.video_frames import FRAMES_PER_SECOND, FrameProcessor, frame_times, shown_at

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_ASPECT_RATIO = 200  # beyond it transformers' resizing refuses
VIDEO_PICTURES = 16  # a video's pixel budget, in pictures of the largest size, where the checkpoint names none


class ImageTextProcessor(Qwen3VLProcessor):
    """`Qwen3VLProcessor` with a video processor that does not need torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)
        if image_processor is not None:
            self.video_processor = FrameProcessor(
                patch_size=image_processor.patch_size,
                temporal_patch_size=image_processor.temporal_patch_size,
                merge_size=image_processor.merge_size,
                size={
                    "shortest_edge": image_processor.size["shortest_edge"],
                    "longest_edge": image_processor.size["longest_edge"] * VIDEO_PICTURES,
                },
                mean=image_processor.image_mean,
                std=image_processor.image_std,
            )

    def to_dict(self) -> dict[str, Any]:
        """Leave the video processor out: it is made anew from the image processor's sizes."""
        saved: dict[str, Any] = super().to_dict()
        saved.pop("video_processor", None)
        return saved


def build_processor(
    tokenizer: "PreTrainedTokenizerBase", *, patch_size: int, min_pixels: int, max_pixels: int
) -> ImageTextProcessor:
    """Return a processor for a new checkpoint; sizes in pixels of the whole picture."""
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=patch_size,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": min_pixels, "longest_edge": max_pixels},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return ImageTextProcessor(image_processor, tokenizer, chat_template=tokenizer.chat_template)


def load_processor(
    folder: Path,
    *,
    torchvision_works: Callable[[], bool] | None = None,
    stock: Callable[[Path], Any] | None = None,
) -> Qwen3VLProcessor:
    """Return the folder's processor: transformers' own where torchvision lets it work, else `ImageTextProcessor`.

    Args:
        folder: A checkpoint as the hub has it or as `save_pretrained` writes it.
        torchvision_works: Tells whether torchvision can be imported; the real import by default.
        stock: Loads transformers' own processor; `AutoProcessor.from_pretrained` by default.

    Raises:
        OSError, ValueError: As transformers does, where files are missing or broken.
    """
    if (torchvision_works or _torchvision_works)():
        processor = (stock or _auto_processor)(folder)
        # AutoProcessor returns the bare tokenizer, silently, for a `processor_class` that it does not know
        if isinstance(processor, Qwen3VLProcessor) and getattr(processor, "video_processor", None) is not None:
            return processor
    processor = ImageTextProcessor.from_pretrained(folder)
    video_config = folder / "video_preprocessor_config.json"
    if video_config.is_file():
        size = json.loads(video_config.read_text(encoding="utf-8")).get("size")
        if size is not None:
            processor.video_processor.size = size
    return processor


def encode(
    processor: Qwen3VLProcessor,
    messages: Sequence[dict[str, Any]],
    *,
    max_pixels: int | None = None,
    frames: FrameBudget | None = None,
    add_generation_prompt: bool = True,
    thinks: bool = True,
) -> BatchFeature:
    """Turn one conversation into the model's inputs.

    Each message is `{"role": ..., "content": ...}`; its content is a string or a list of blocks, in the order in which
    the model reads them: `{"type": "text", "text": str}`, `{"type": "image", "image": PIL.Image}` and
    `{"type": "video", "frames": [PIL.Image, ...], "fps": float}`. `fps` may be left out (2 a second), and `times_s`
    says instead of it when each frame is shown, in seconds. Frames of other sizes than the first's are stretched to
    it; a single frame stands still.

    The conversation goes through the checkpoint's own chat template. Control tokens typed in a text (`<|im_end|>`,
    `<|image_pad|>`, ...) are encoded as the plain characters that they are, in every role: only the template writes
    turns, and only given pictures write picture tokens.

    Args:
        processor: What `load_processor` returned.
        messages: The conversation, oldest message first; nothing in it is changed.
        max_pixels: Pixel budget of a picture, and of a frame. Larger ones are scaled down, none is scaled up by it,
            and it never goes beyond the checkpoint's own budget.
        frames: Of a frame instead of that.
        add_generation_prompt: End with the opening of the assistant's turn.
        thinks: False asks a template that has the switch for an answer without thinking.

    Returns:
        `input_ids`, `attention_mask` and `mm_token_type_ids` (0 text, 1 picture, 2 video), each (1, L); with pictures
        `pixel_values` (patches, 3*2*P*P) and `image_grid_thw` (pictures, 3), with videos `pixel_values_videos` and
        `video_grid_thw`. CPU tensors.

    Raises:
        ImageError: A picture's sides are more than 200 to 1.
        ValueError: A video block has no frames.
    """
    turns = [{"role": message["role"], "content": _blocks(message["content"], frames)} for message in messages]
    blocks = [block for turn in turns for block in turn["content"]]
    for picture in [b["image"] for b in blocks if b["type"] == "image"] + [
        b["video"][0] for b in blocks if b["type"] == "video"
    ]:
        if max(picture.size) > MAX_ASPECT_RATIO * min(picture.size):
            width, height = picture.size
            raise ImageError("picture_too_thin", width=width, height=height, limit=MAX_ASPECT_RATIO)
    videos = [block for block in blocks if block["type"] == "video"]
    options: dict[str, Any] = {}
    if max_pixels is not None:
        options["images_kwargs"] = {"size": _at_most(processor.image_processor.size, max_pixels)}
    if videos:
        times = [shown_at(video["times_s"]) if video["times_s"] else frame_times(len(video["video"]), video["fps"])
                 for video in videos]  # fmt: skip
        options["videos_kwargs"] = {"video_metadata": times, "do_sample_frames": False, "return_metadata": True}
        if max_pixels is not None and frames is None:
            # one budget holds for all videos of a call: the shortest one's keeps every frame under max_pixels
            shortest = min(len(video["video"]) for video in videos)
            options["videos_kwargs"]["size"] = _at_most(processor.video_processor.size, max_pixels * shortest)
    switch = {} if thinks or "enable_thinking" not in str(processor.chat_template) else {"enable_thinking": False}
    return processor.apply_chat_template(
        turns,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=add_generation_prompt,
        sanitize_control_tokens=True,
        processor_kwargs=options,
        **switch,
    )


def _blocks(content: Any, budget: FrameBudget | None) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_video(block, budget) if block["type"] == "video" else block for block in content]


def _video(block: dict[str, Any], budget: FrameBudget | None) -> dict[str, Any]:
    frames = [frame.convert("RGB") for frame in block["frames"]]
    if not frames:
        raise ValueError("a video block needs at least one frame")
    size = frames[0].size if budget is None else budget.size(*frames[0].size)
    frames = [frame if frame.size == size else frame.resize(size) for frame in frames]
    times = block.get("times_s")
    if len(frames) == 1:
        frames, times = frames * 2, times and [*times, *times]
    return {"type": "video", "video": frames, "fps": block.get("fps") or FRAMES_PER_SECOND, "times_s": times}


def _at_most(size: Any, pixels: int) -> dict[str, int]:
    return {
        "shortest_edge": min(size["shortest_edge"], pixels),
        "longest_edge": min(size["longest_edge"], pixels),
    }


def _auto_processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder)


def _torchvision_works() -> bool:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError: a build for another torch ("operator ... does not exist")
        return False
    return True

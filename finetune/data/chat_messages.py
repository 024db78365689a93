"""A sample as the chat messages that the processor takes, its pictures opened."""

from pathlib import Path
from typing import Any

from finetune.data.sample import Frames, ImageFile, Sample
from model.pictures.open import open_picture


def messages_of(sample: Sample) -> list[dict[str, Any]]:
    """Return the sample's messages as `model.qwen3_vl.processor.encode` takes them, its pictures opened.

    Raises:
        ImageError: A picture.
    """
    return [{"role": message.role, "content": [_block(part) for part in message.parts]} for message in sample.messages]


def _block(part: str | ImageFile | Frames) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, ImageFile):
        return {"type": "image", "image": _open(part)}
    frames = [_open(ImageFile(path)) for path in part.paths]
    return {"type": "video", "frames": frames, "times_s": part.times_s}


def _open(file: ImageFile) -> Any:
    path = file.path.expanduser().absolute()
    return open_picture(str(path), (Path(path.anchor),)).image

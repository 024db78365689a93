"""LangChain messages as turns of text and opened pictures, each block checked once.

It opens `data:` URLs and nothing else: files are opened by who knows the roots, addresses are not fetched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage

from model.errors import ModelError
from model.pictures.open import open_picture
from model.pictures.picture import Picture

Role = Literal["system", "user", "assistant"]


class UnsupportedContent(ModelError):
    """A message holds something that the model cannot read."""

    def __init__(self, content: str, reason: str) -> None:
        super().__init__(f"The model cannot read {content!r}: {reason}.")
        self.content = content


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture."""

    picture: Picture


@dataclass(frozen=True)
class Video:
    """Frames in their order."""

    frames: tuple[Picture, ...]
    times_s: tuple[float, ...] | None = None
    """When each is shown, from the beginning of the film; None if nobody knows."""

    def as_pictures(self) -> "Iterator[Text | Image]":
        """Yield the frames as pictures, each behind its time, in the words in which Qwen3-VL reads times."""
        for number, frame in enumerate(self.frames):
            if self.times_s is not None:
                yield Text(f"<{self.times_s[number]:.1f} seconds>")
            yield Image(frame)


@dataclass(frozen=True)
class Turn:
    """Who says what."""

    role: Role
    blocks: tuple[Text | Image | Video, ...]


def parse_messages(messages: Sequence[BaseMessage]) -> list[Turn]:
    """Return the messages as turns.

    Raises:
        UnsupportedContent: A role or block that no model here reads, or an address instead of a picture.
        ImageError: A `data:` URL that is no usable picture.
    """
    return [Turn(_role(message), tuple(_blocks(message.content))) for message in messages]


def for_processor(turn: Turn) -> dict[str, Any]:
    """Return the turn as `model.qwen3_vl.processor.encode` wants it."""
    content: list[dict[str, Any]] = []
    for block in turn.blocks:
        if isinstance(block, Text):
            content.append({"type": "text", "text": block.text})
        elif isinstance(block, Image):
            content.append({"type": "image", "image": block.picture.image})
        else:
            frames = [frame.image for frame in block.frames]
            content.append({"type": "video", "frames": frames, "times_s": block.times_s})
    return {"role": turn.role, "content": content}


def _role(message: BaseMessage) -> Role:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ChatMessage) and message.role in ("system", "user", "assistant"):
        return message.role  # type: ignore[return-value]  # mypy does not narrow str by a tuple
    raise UnsupportedContent(message.type, "messages are from system, user or assistant; put tool results into one")


def _blocks(content: str | list[Any]) -> Iterator[Text | Image | Video]:
    if isinstance(content, str):
        yield Text(content)
        return
    for block in content:
        yield Text(block) if isinstance(block, str) else _block(block)


def _block(block: dict[str, Any]) -> Text | Image | Video:
    kind = block.get("type")
    if kind == "text":
        return Text(str(block.get("text", "")))
    if kind == "image":
        if "image" in block:
            return Image(_picture(block["image"]))
        encoded = block.get("base64", block.get("data"))
        if encoded is not None:
            return Image(_picture(f"data:{block.get('mime_type', 'image/png')};base64,{encoded}"))
        return Image(_picture(block.get("url")))
    if kind == "image_url":
        address = block.get("image_url")
        return Image(_picture(address.get("url") if isinstance(address, dict) else address))
    if kind == "video" and isinstance(block.get("frames"), list | tuple):
        return _video(tuple(_picture(frame) for frame in block["frames"]), block.get("times_s"))
    raise UnsupportedContent(str(kind), "give blocks of type text, image, image_url or video with frames")


def _video(frames: tuple[Picture, ...], times_s: object) -> Video:
    if isinstance(times_s, list | tuple) and len(times_s) == len(frames):
        return Video(frames, tuple(float(time) for time in times_s))
    return Video(frames)


def _picture(value: object) -> Picture:
    if isinstance(value, Picture):
        return value
    if isinstance(value, str) and value.startswith("data:"):
        return open_picture(value, ())
    shown = value if isinstance(value, str) else type(value).__name__
    raise UnsupportedContent(shown[:80], "open the file with open_picture, or give a data: URL")

"""Puts words, markers and media together into checked messages. It knows no file format.

The rules that every format shares: the assistant answers each user message and has the last word, no answer is empty,
pictures and videos stand in user messages, and there are as many markers as media.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.data.pictures import Pictures
from finetune.data.sample import Frames, ImageFile, Message, Part, Role
from finetune.data.unusable import Unusable

IMAGE, VIDEO = "<image>", "<video>"
START, END = "<|vision_start|>", "<|vision_end|>"
_PADS = {"<|image_pad|>": IMAGE, "<|video_pad|>": VIDEO}
_SHOWN = re.compile(f"({re.escape(IMAGE)}|{re.escape(VIDEO)}|{re.escape(START)}.*?{re.escape(END)})", re.DOTALL)
MARKER = re.compile("|".join(map(re.escape, (IMAGE, VIDEO, START, END))))
Said = tuple[Role, Sequence[Part]]


@dataclass
class Media:
    """The pictures and videos that a row lists, handed out in the order in which markers ask for them."""

    pictures: Pictures
    images: list[Any] = field(default_factory=list)
    videos: list[Any] = field(default_factory=list)
    _shown: int = 0
    _played: int = 0

    def image(self) -> ImageFile:
        """Return the next picture."""
        self._shown += 1
        if self._shown > len(self.images):
            raise Unusable(f"more {IMAGE} markers than pictures ({len(self.images)})")
        return self.pictures.picture(self.images[self._shown - 1])

    def video(self) -> Frames:
        """Return the next video."""
        self._played += 1
        if self._played > len(self.videos):
            raise Unusable(f"more {VIDEO} markers than videos ({len(self.videos)})")
        return self.pictures.video(self.videos[self._played - 1])

    def place(self, text: str) -> list[Part]:
        """Return the text with a picture or a video for each marker.

        Qwen's own vision markers stand around a placeholder, which means the next file, or around a path.
        """
        return [self._placed(piece) for piece in _SHOWN.split(text)]

    def _placed(self, piece: str) -> Part:
        whole = piece.startswith(START) and piece.endswith(END)
        inside = piece[len(START) : -len(END)] if whole else ""
        for pad, marker in _PADS.items():
            if inside and not inside.replace(pad, ""):  # as many as the picture has tokens
                piece = marker
        if piece == IMAGE:
            return self.image()
        if piece == VIDEO:
            return self.video()
        if whole:
            return self.pictures.picture(inside)
        if START in piece or END in piece:
            raise Unusable("a vision marker without its other half")
        return piece

    def finish(self) -> None:
        """Refuse what no marker has asked for."""
        for what, marker, given, used in (
            ("picture", IMAGE, len(self.images), self._shown),
            ("video", VIDEO, len(self.videos), self._played),
        ):
            if used < given:
                one = given - used == 1
                raise Unusable(
                    f"{given - used} {what}{'' if one else 's'} that no {marker} mentions; "
                    f"write {marker} where {'it belongs' if one else 'each belongs'}"
                )


def media_of(row: dict[str, Any], pictures: Pictures) -> Media:
    """Return what the columns `images` (or `image`) and `videos` (or `video`) list."""
    if row.get("audios"):
        raise Unusable("audio is not supported")
    return Media(pictures, _listed(row, "images", "image"), _listed(row, "videos", "video"))


def _listed(row: dict[str, Any], many: str, one: str) -> list[Any]:
    value = row.get(many)
    if value is None:
        value = row.get(one)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]


def text_of(row: dict[str, Any], *names: str, default: str | None = None) -> str:
    """Return the first of the named texts that the row has.

    Raises:
        Unusable: There is none and no default, or it is no text.
    """
    for name in names:
        value = row.get(name)
        if value is not None:
            return checked_text(value, name)
    if default is None:
        raise Unusable(f"no {' or '.join(repr(name) for name in names)}")
    return default


def checked_text(value: object, name: str) -> str:
    """Return the value where it is a text that can be written and tokenized."""
    if not isinstance(value, str):
        raise Unusable(f"{name!r} is {type(value).__name__}, not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable(f"{name!r} holds half a character (a lone surrogate)") from None
    return value


def messages_of(said: Iterable[Said]) -> tuple[Message, ...]:
    """Return the messages, whole and in order.

    Raises:
        Unusable: A rule above is broken; the reason says which.
    """
    messages = [Message(role, _merged(parts)) for role, parts in said]
    for number, message in enumerate(messages, 1):
        if message.role != "user" and any(not isinstance(part, str) for part in message.parts):
            raise Unusable(f"a picture or video in the words of the {message.role} (message {number})")
    talk = messages[1:] if messages and messages[0].role == "system" else messages
    if not talk:
        raise Unusable("no messages")
    if talk[-1].role != "assistant":
        raise Unusable("no answer of the assistant at the end: nothing to learn")
    for place, message in enumerate(talk):
        expected: Role = "assistant" if place % 2 else "user"
        if message.role != expected:
            number = place + 1 + len(messages) - len(talk)
            raise Unusable(f"message {number} is of the {message.role} where the {expected}'s is due")
        shows = any(not isinstance(part, str) for part in message.parts)
        if not message.text.strip() and not shows:
            raise Unusable("the answer is empty" if expected == "assistant" else "the question is empty")
    if len(talk) < len(messages) and not messages[0].text.strip():
        messages = talk
    return tuple(messages)


def _merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)


def each(values: object, name: str, make: Callable[[Any, int], Said]) -> list[Said]:
    """Return what `make` makes of each object of a list, told its place from 1.

    Raises:
        Unusable: It is no list of objects.
    """
    if not isinstance(values, list):
        raise Unusable(f"{name!r} is {type(values).__name__}, not a list")
    for place, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise Unusable(f"entry {place} of {name!r} is {type(value).__name__}, not an object")
    return [make(value, place) for place, value in enumerate(values, 1)]


@dataclass
class Listing:
    """The opposite of `Media`: turns messages into words with markers and lists the files, named for a row."""

    name: Callable[[Path], str]
    images: list[str] = field(default_factory=list)
    videos: list[list[str]] = field(default_factory=list)

    def words(self, message: Message) -> str:
        """Return the message's text with a marker for each picture and video.

        Raises:
            Unusable: The text itself holds a marker.
        """
        if any(isinstance(part, str) and MARKER.search(part) for part in message.parts):
            raise Unusable(f"its words hold {IMAGE}, {VIDEO} or {START}, which would be read as a marker")
        pieces = []
        for part in message.parts:
            if isinstance(part, ImageFile):
                self.images.append(self.name(part.path))
                pieces.append(IMAGE)
            elif isinstance(part, Frames):
                self.videos.append([self.name(path) for path in part.paths])
                pieces.append(VIDEO)
            else:
                pieces.append(part)
        return "".join(pieces)

    def columns(self) -> dict[str, Any]:
        """Return the columns of the files; none where there are no files."""
        return {name: value for name, value in (("images", self.images), ("videos", self.videos)) if value}

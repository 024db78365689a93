"""One row of training data, whatever file it came from: messages with text, pictures and videos, and where it stood.

It opens no picture. Readers make it, the collator and the evaluation take it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class ImageFile:
    """A picture of a message."""

    path: Path


@dataclass(frozen=True)
class Frames:
    """A video as pictures in their order, evenly spaced in time."""

    paths: tuple[Path, ...]
    times_s: tuple[float, ...] | None = None
    """When each is shown, from the beginning of the film; None if nobody knows."""


Part = str | ImageFile | Frames


@dataclass(frozen=True)
class Message:
    """What one side says, its pictures in their places."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True)
class Origin:
    """Where a row stood, for messages to the user."""

    file: Path
    line: int
    """From 1: the line of a CSV or JSONL file, the place in the list of a JSON file."""

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}"


@dataclass(frozen=True)
class Sample:
    """A conversation that ends with the assistant's words; only the assistant's words are learned."""

    id: str
    messages: tuple[Message, ...]
    origin: Origin
    category: str | None = None
    """Of the evaluation's table."""
    references: tuple[str, ...] = ()
    """Further right answers, beside the last message, for the evaluation."""
    generated: bool = False
    """Whether a model wrote it."""

    rejected: str | None = None
    """A worse answer than the last message, for preference training."""

    @property
    def answer(self) -> str:
        """The last message's words."""
        return self.messages[-1].text

    @property
    def pictures(self) -> tuple[Path, ...]:
        """Every picture file that it needs."""
        found: list[Path] = []
        for part in (part for message in self.messages for part in message.parts):
            if isinstance(part, ImageFile):
                found.append(part.path)
            elif isinstance(part, Frames):
                found += part.paths
        return tuple(found)

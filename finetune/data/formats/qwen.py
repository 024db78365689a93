"""Qwen conversations: from/value with the path between vision markers, as Qwen3-VL-MoeLORA's csv2json writes them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats.reading import Reading, columns_of, extras_of, sample_of
from finetune.data.formats.sharegpt import ROLES
from finetune.data.sample import Frames, Part, Sample
from finetune.data.talk import Said, each, messages_of, text_of
from finetune.data.unusable import Unusable

START, END = "<|vision_start|>", "<|vision_end|>"
_SHOWN = re.compile(f"{re.escape(START)}(.*?){re.escape(END)}", re.DOTALL)


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one row.

    Raises:
        Unusable: As the reason says.
    """
    row = columns_of(value, reading.options.columns)

    def say(entry: dict[str, Any], place: int) -> Said:
        role, text = text_of(entry, "from", "role"), text_of(entry, "value", "content")
        if role not in ROLES:
            raise Unusable(f"entry {place} is from {role!r}; known are {', '.join(ROLES)}")
        pieces = _SHOWN.split(text)
        if any(START in piece or END in piece for piece in pieces):
            raise Unusable(f"entry {place} has a vision marker without its other half")
        parts: list[Part] = [
            reading.pictures.picture(piece) if number % 2 else piece for number, piece in enumerate(pieces)
        ]
        return ROLES[role], parts

    said = each(row.get("conversations"), "conversations", say)
    return sample_of(row, messages_of(said), reading)


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample.

    Raises:
        Unusable: It has a video, or words or a path that hold a vision marker.
    """
    said = [
        {"from": message.role, "value": "".join(_written(part, name) for part in message.parts)}
        for message in sample.messages
    ]
    extras = extras_of(sample)
    return {"id": extras.pop("id", sample.id), "conversations": said, **extras}


def _written(part: Part, name: Callable[[Path], str]) -> str:
    if isinstance(part, Frames):
        raise Unusable("the format qwen has no videos")
    text = part if isinstance(part, str) else name(part.path)
    if START in text or END in text:
        raise Unusable("its words or a path hold a vision marker")
    return text if isinstance(part, str) else f"{START}{text}{END}"

"""Qwen conversations: from/value with the path between vision markers, as Qwen3-VL-MoeLORA's csv2json writes them.

They are read as ShareGPT's are, which know these markers, too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats import sharegpt
from finetune.data.formats.reading import extras_of
from finetune.data.sample import Frames, Part, Sample
from finetune.data.talk import END, MARKER, START
from finetune.data.unusable import Unusable

read = sharegpt.read


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample.

    Raises:
        Unusable: It has a video, or words or a path that hold a marker.
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
    if MARKER.search(text):
        raise Unusable("its words or a path hold a marker")
    return text if isinstance(part, str) else f"{START}{text}{END}"

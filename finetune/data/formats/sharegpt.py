"""ShareGPT rows: `conversations` of from/value with <image> and <video> markers, and columns of the files.

Calls of functions and what they returned become words in the form of Qwen's chat template.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats.reading import Reading, chosen_of, columns_of, extras_of, sample_of
from finetune.data.formats.tools import called, returned, with_tools
from finetune.data.sample import Role, Sample
from finetune.data.talk import Listing, Said, each, media_of, messages_of, text_of
from finetune.data.unusable import Unusable

ROLES: dict[str, Role] = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "bot": "assistant",
    "model": "assistant", "chatgpt": "assistant", "system": "system",
}  # fmt: skip
_FROM: dict[Role, str] = {"user": "human", "assistant": "gpt", "system": "system"}
CALLS, RETURNS = ("function_call", "tool_call"), ("observation", "tool", "tool_response")


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one row.

    Raises:
        Unusable: As the reason says.
    """
    row = columns_of(value, reading.options.columns)
    media = media_of(row, reading.pictures)

    def say(entry: dict[str, Any], place: int) -> Said:
        role, text = text_of(entry, "from", "role"), text_of(entry, "value", "content")
        if role in CALLS:
            return "assistant", [called(text)]
        if role in RETURNS:
            return "user", media.place(returned(text))
        if role not in ROLES:
            raise Unusable(f"entry {place} is from {role!r}; known are {', '.join([*ROLES, *CALLS, *RETURNS])}")
        return ROLES[role], media.place(text)

    said = each(row.get("conversations"), "conversations", say)
    if (chosen := chosen_of(row)) is not None:
        said.append(("assistant", media.place(chosen)))
    said = with_tools(said, text_of(row, "system", default=""), row.get("tools"))
    media.finish()
    return sample_of(row, messages_of(said), reading)


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample.

    Raises:
        Unusable: Its words hold a marker.
    """
    listing = Listing(name)
    said = [{"from": _FROM[message.role], "value": listing.words(message)} for message in sample.messages]
    return {"conversations": said, **listing.columns(), **extras_of(sample)}

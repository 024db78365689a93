"""OpenAI messages: role and content, the content a string with markers or a list of parts that carry their files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats.grounding import fill_places
from finetune.data.formats.ranked import parted
from finetune.data.formats.reading import Reading, chosen_of, columns_of, extras_of, sample_of
from finetune.data.formats.tools import called, returned, with_tools
from finetune.data.sample import Frames, ImageFile, Part, Role, Sample
from finetune.data.talk import Listing, Media, Said, checked_text, each, media_of, messages_of, text_of
from finetune.data.unusable import Unusable

ROLES: dict[str, Role] = {
    "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system",
    "developer": "system",
}  # fmt: skip


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one row.

    Raises:
        Unusable: As the reason says.
    """
    row = parted(columns_of(value, reading.options.columns))
    media = media_of(row, reading.pictures)

    def say(message: dict[str, Any], place: int) -> Said:
        role = text_of(message, "role", "from")
        content = message.get("content", message.get("value"))
        calls = message.get("tool_calls")
        parts = _parts(content, media) if content is not None or not calls else []
        if role in ("tool", "function", "observation"):
            text = "".join(part for part in parts if isinstance(part, str))
            return "user", [returned(text), *(part for part in parts if not isinstance(part, str))]
        if role == "function_call":
            return "assistant", [called("".join(part for part in parts if isinstance(part, str)))]
        if ROLES.get(role) == "assistant" and message.get("loss_weight") == 0:
            raise Unusable(f"message {place} has 'loss_weight' 0; 'mask_history: true' learns last answers alone")
        if role not in ROLES:
            raise Unusable(f"message {place} has the role {role!r}; known are {', '.join([*ROLES, 'tool'])}")
        if calls:
            parts += ["\n", called(calls)] if parts else [called(calls)]
        return ROLES[role], parts

    said = each(row.get("messages"), "messages", say)
    if (chosen := chosen_of(row)) is not None:
        said.append(("assistant", media.place(chosen)))
    said = with_tools(said, text_of(row, "system", default=""), row.get("tools"))
    media.finish()
    return fill_places(sample_of(row, messages_of(said), reading), row.get("objects"), reading.pictures)


def _parts(content: object, media: Media) -> list[Part]:
    if isinstance(content, str):
        return media.place(checked_text(content, "content"))
    if not isinstance(content, list):
        raise Unusable(f"'content' is {type(content).__name__}, not text or a list of parts")
    return [_part(part, media) for part in content]


def _part(part: object, media: Media) -> Part:
    if isinstance(part, str):
        return checked_text(part, "content")
    if not isinstance(part, dict):
        raise Unusable(f"a part of 'content' is {type(part).__name__}, not an object")
    # a Parquet file gives every part the columns of all parts
    part = {name: value for name, value in part.items() if value is not None}
    kind = part.get("type") or next((name for name in ("text", "image", "image_url", "video") if name in part), None)
    if kind in ("text", "input_text", "output_text"):
        return text_of(part, "text", "value")
    if kind in ("image", "image_url", "input_image"):
        named = _file(part, "image_url", "image", "path", "url", "value")
        return media.image() if named is None else media.pictures.picture(named)
    if kind in ("video", "video_url"):
        named = _file(part, "video_url", "video", "frames", "path", "url", "value")
        return media.video() if named is None else media.pictures.video(named)
    if kind in ("reasoning", "thinking"):  # LLaMA-Factory's second generation; in the words of Qwen's template
        return f"<think>\n{text_of(part, 'value', 'thinking', 'text').strip()}\n</think>\n\n"
    if kind == "tool_call":
        return called(text_of(part, "value"))
    raise Unusable(f"a part of the type {kind!r}; known are text, image, image_url, video, reasoning and tool_call")


def _file(part: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in part:
            value = part[name]
            if isinstance(value, dict) and value.get("bytes") is None:
                return value.get("url", value.get("path"))
            return value
    return None


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample: markers and columns of files, or parts where the words themselves hold a marker."""
    listing = Listing(name)
    try:
        said: list[Any] = [{"role": message.role, "content": listing.words(message)} for message in sample.messages]
    except Unusable:
        said = [{"role": m.role, "content": [_written(part, name) for part in m.parts]} for m in sample.messages]
        return {"messages": said, **extras_of(sample)}
    return {"messages": said, **listing.columns(), **extras_of(sample)}


def _written(part: Part, name: Callable[[Path], str]) -> dict[str, Any]:
    if isinstance(part, ImageFile):
        return {"type": "image", "image": name(part.path)}
    if isinstance(part, Frames):
        return {"type": "video", "video": [name(path) for path in part.paths]}
    return {"type": "text", "text": part}

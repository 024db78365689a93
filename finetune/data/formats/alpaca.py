"""Alpaca rows: instruction, input, output, history, system, images, videos, with <image> and <video> markers.

ms-swift's query, response and objects say the same.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats.grounding import fill_places
from finetune.data.formats.reading import Reading, chosen_of, columns_of, extras_of, sample_of
from finetune.data.formats.tools import with_tools
from finetune.data.sample import Sample
from finetune.data.talk import Listing, Said, checked_text, media_of, messages_of, text_of
from finetune.data.unusable import Unusable


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one row; instruction and input are one message, a line break between them.

    Raises:
        Unusable: As the reason says.
    """
    row = columns_of(value, reading.options.columns)
    if "query" in row and "response" in row and "instruction" not in row:
        row = {**row, "instruction": row["query"], "output": row["response"]}
    media = media_of(row, reading.pictures)
    said: list[Said] = []
    for question, answer in _pairs(row.get("history")):
        said += [("user", media.place(question)), ("assistant", media.place(answer))]
    asked = [text_of(row, "instruction", default=""), text_of(row, "input", default="")]
    said.append(("user", media.place("\n".join(text for text in asked if text))))
    chosen = chosen_of(row)
    if chosen is None and row.get("rejected") and not row.get("output"):
        raise Unusable("a rejected answer without a chosen one")
    said.append(("assistant", media.place(text_of(row, "output") if chosen is None else chosen)))
    said = with_tools(said, text_of(row, "system", default=""), row.get("tools"))
    media.finish()
    return fill_places(sample_of(row, messages_of(said), reading), row.get("objects"), reading.pictures)


def _pairs(history: object) -> list[tuple[str, str]]:
    if history in (None, ""):
        return []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise Unusable("'history' is no list of [question, answer]")
    return [(checked_text(asked, "history"), checked_text(answer, "history")) for asked, answer in history]


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample.

    Raises:
        Unusable: Its words hold a marker.
    """
    listing, talk = Listing(name), list(sample.messages)
    row: dict[str, Any] = {}
    if talk[0].role == "system":
        row["system"] = listing.words(talk.pop(0))
    words = [listing.words(message) for message in talk]
    row = {"instruction": words[-2], "input": "", "output": words[-1], **row}
    if len(words) > 2:
        row["history"] = [list(pair) for pair in zip(words[:-2:2], words[1:-2:2], strict=True)]
    return {**row, **listing.columns(), **extras_of(sample)}

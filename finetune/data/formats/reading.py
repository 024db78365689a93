"""What the readers of all formats share: options, the row's own columns, and its fields beside the conversation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from finetune.data.pictures import Pictures
from finetune.data.sample import Message, Origin, Sample
from finetune.data.talk import checked_text
from finetune.data.unusable import Unusable
from graph.prompts import ENGLISH


@dataclass(frozen=True)
class ReadOptions:
    """How rows are understood where the file leaves it open."""

    prompt: str = ENGLISH.caption
    """What is asked about a picture that has a caption and no question."""
    frames: int = 8
    """Taken of a folder of frames, evenly spaced."""
    frames_as: Literal["video", "images"] = "video"
    """Whether the frames of an OpenEQA question are one video or as many pictures."""
    captions: Literal["first", "all"] = "first"
    """COCO: one sample a picture, learning its first caption and keeping the others as references, or one a caption."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The file's own name of a column by the name it has in the format, such as {"image_path": "file"}."""
    check_pictures: bool = True
    """Whether every picture's file and header is looked at."""
    decode_pictures: bool = False
    """Whether every picture is also decoded once."""


@dataclass(frozen=True)
class Reading:
    """What one row is read with."""

    pictures: Pictures
    options: ReadOptions
    origin: Origin

    @property
    def stem(self) -> str:
        """The beginning of the ids of rows that have none."""
        return self.origin.file.stem


def columns_of(row: object, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the row's fields under the format's names.

    Raises:
        Unusable: The row is no object.
    """
    if not isinstance(row, dict):
        raise Unusable(f"the row is {type(row).__name__}, not an object")
    if not columns:
        return row
    taken = set(columns.values())
    return {name: value for name, value in row.items() if name not in taken} | {
        ours: row[theirs] for ours, theirs in columns.items() if theirs in row
    }


def sample_of(row: Mapping[str, Any], messages: Sequence[Message], reading: Reading) -> Sample:
    """Return the sample, with the fields that every format may carry: id, category, references, generated.

    Raises:
        Unusable: One of them has a wrong type.
    """
    given = row.get("id", row.get("question_id"))
    if isinstance(given, bool) or not isinstance(given, (str, int, type(None))):
        raise Unusable(f"the id is {type(given).__name__}, not text")
    id_ = checked_text(str(given), "id") if given not in (None, "") else f"{reading.stem}-{reading.origin.line}"
    category = row.get("category")
    if category is not None:
        category = checked_text(category, "category") or None
    return Sample(
        id_,
        tuple(messages),
        reading.origin,
        category,
        references_of(row.get("references")),
        _flag(row.get("generated")),
        rejected_of(row, messages),
    )


def chosen_of(row: Mapping[str, Any]) -> str | None:
    """Return the better answer of ranking data in LLaMA-Factory's form; None where the row is no such.

    Raises:
        Unusable: It is no text and no message.
    """
    return None if row.get("chosen") in (None, "") else _said(row["chosen"], "chosen")


def rejected_of(row: Mapping[str, Any], messages: Sequence[Message]) -> str | None:
    """Return the worse answer.

    Raises:
        Unusable: There is none beside a better one, or it is the same.
    """
    chosen = chosen_of(row)
    if row.get("rejected") in (None, ""):
        if chosen is not None:
            raise Unusable("a chosen answer without a rejected one")
        return None
    rejected = _said(row["rejected"], "rejected")
    if messages and rejected == messages[-1].text:
        raise Unusable("its chosen and its rejected answer are the same")
    return rejected


def _said(value: object, name: str) -> str:
    """Return the words of a text, of a message, or of a list of one message."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("value", value.get("content"))
    text = checked_text(value, name)
    if not text.strip():
        raise Unusable(f"{name!r} is empty")
    return text


def references_of(value: object) -> tuple[str, ...]:
    """Return further right answers; in a table they are one field, a JSON list."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise Unusable("'references' is no JSON list of texts") from None
    if not isinstance(value, list):
        raise Unusable("'references' is no list of texts")
    return tuple(checked_text(each, "references") for each in value)


def _flag(value: object) -> bool:
    if value in (None, "", False, "false", "False", "0"):
        return False
    if value in (True, "true", "True", "1"):
        return True
    raise Unusable(f"'generated' is {value!r}, not true or false")


def extras_of(sample: Sample) -> dict[str, Any]:
    """Return the fields of `sample_of` as a JSON row has them, those that say nothing left out."""
    fields = {
        "id": sample.id,
        "category": sample.category,
        "references": list(sample.references),
        "generated": sample.generated,
        "rejected": sample.rejected,
    }
    return {name: value for name, value in fields.items() if value}

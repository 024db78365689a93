"""Decides the format of a data file by its name and its first rows, and says why. It reads no file."""

from pathlib import Path

from finetune.data.formats import FORMATS
from finetune.data.rows import TABLES, Row
from finetune.data.talk import START
from finetune.errors import FinetuneError

_ANSWERS = frozenset({"answer", "answers", "caption", "text"})
# the first whose keys a row has, every one of the left and any of the right
_SIGNS: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    ("coco", frozenset({"images", "annotations"}), frozenset()),
    ("sharegpt", frozenset({"conversations"}), frozenset()),
    ("messages", frozenset({"messages"}), frozenset()),
    ("messages", frozenset({"chosen_messages", "rejected_messages"}), frozenset()),
    ("openeqa", frozenset({"question", "episode_history"}), frozenset()),
    ("alpaca", frozenset(), frozenset({"instruction", "output"})),
    ("alpaca", frozenset({"query", "response"}), frozenset()),
    ("messages", frozenset({"chosen", "rejected"}), frozenset()),
    ("vqa", frozenset({"image"}), _ANSWERS),
    ("vqa", frozenset({"image_path"}), _ANSWERS),
    ("vqa", frozenset({"images"}), _ANSWERS),
    ("vqa", frozenset({"file_name"}), _ANSWERS),
)


class DatasetFormatUnknown(FinetuneError):
    """No format fits the rows, or there is none of that name."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The format of {str(path)!r} is unknown: {reason}; name one of {', '.join(FORMATS)}.")


def decide_format(file: Path, rows: list[Row]) -> tuple[str, str]:
    """Return the format of a file by its first rows, and why in words.

    Raises:
        DatasetFormatUnknown: None fits.
    """
    if file.suffix.lower() in TABLES:
        return "csv", f"csv, by the name {file.name!r}"
    objects = [row.value for row in rows if isinstance(row.value, dict)]
    if not objects:
        broken = next((f" (line {row.line}: {row.reason})" for row in rows if row.reason), "")
        raise DatasetFormatUnknown(file, f"no row is an object{broken}" if rows else "it holds no rows")
    for value in objects:
        for format, all_of, any_of in _SIGNS:
            keys = all_of | any_of & set(value)
            if all_of <= set(value) and (not any_of or any_of & set(value)):
                if format == "sharegpt" and any(START in str(each.get("conversations")) for each in objects):
                    format = "qwen"
                return format, f"{format}, by {' and '.join(map(repr, sorted(keys)))}"
    named = ", ".join(repr(key) for key in list(objects[0])[:8]) or "none"
    raise DatasetFormatUnknown(file, f"its rows have the keys {named}")

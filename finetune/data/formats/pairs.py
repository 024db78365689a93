"""Flat rows of a picture, a question and an answer: CSV of image_path,caption, and VQA rows as JSON.

One question and one answer a row; a conversation needs another format.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.data.formats.reading import Reading, columns_of, sample_of
from finetune.data.sample import ImageFile, Part, Sample
from finetune.data.talk import Said, checked_text, messages_of, text_of
from finetune.data.unusable import Unusable

COLUMNS = ("image_path", "caption", "question", "id", "category", "references", "generated")
PICTURE = ("image_path", "image", "images", "file_name", "path")
ANSWER = ("caption", "answer", "output", "text")
_QUESTION = ("question", "prompt", "query")


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one row.

    Raises:
        Unusable: No picture, no answer, wrong types.
    """
    row = columns_of(value, reading.options.columns)
    named = next((row[name] for name in PICTURE if row.get(name) not in (None, "", [])), None)
    if named is None:
        raise Unusable(f"no picture: the column {PICTURE[0]!r} is missing or empty")
    names = named if isinstance(named, list) else [named]
    question = text_of(row, *_QUESTION, default="") or reading.options.prompt
    answer, others = _answers(row)
    shown: list[Part] = [reading.pictures.picture(name) for name in names]
    said: list[Said] = [("user", [*shown, question]), ("assistant", [answer])]
    system = text_of(row, "system", default="")
    if system:
        said.insert(0, ("system", [system]))
    sample = sample_of(row, messages_of(said), reading)
    if not others:
        return sample
    return Sample(sample.id, sample.messages, sample.origin, sample.category, others, sample.generated)


def _answers(row: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the answer to learn and the others: of many people's answers the one that most gave (VQA)."""
    many = row.get("answers")
    if many is None:
        return text_of(row, *ANSWER), ()
    if not isinstance(many, list) or not many:
        raise Unusable("'answers' is no list of texts")
    texts = [checked_text(each.get("answer") if isinstance(each, dict) else each, "answers") for each in many]
    best = Counter(texts).most_common(1)[0][0]
    texts.remove(best)
    return best, tuple(texts)


def write(sample: Sample, name: Callable[[Path], str]) -> dict[str, Any]:
    """Return the row of a sample, every column of `COLUMNS` as text.

    Raises:
        Unusable: It is more than one picture, one question and one answer.
    """
    if len(sample.messages) != 2:
        raise Unusable("a table has one question and one answer a row")
    if sample.rejected is not None:
        raise Unusable("a table has no rejected answers")
    match sample.messages[0].parts:
        case (ImageFile(path), str(question)):
            pass
        case _:
            raise Unusable("a table has one picture a row, in front of the question")
    return {
        "image_path": name(path),
        "caption": sample.answer,
        "question": question,
        "id": sample.id,
        "category": sample.category or "",
        "references": json.dumps(sample.references, ensure_ascii=False) if sample.references else "",
        "generated": "true" if sample.generated else "",
    }

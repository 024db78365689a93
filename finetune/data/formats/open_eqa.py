"""OpenEQA questions: an episode is a folder of frames, of which evenly spaced ones are shown with each question."""

from typing import Any

from finetune.data.formats.reading import Reading, columns_of, sample_of
from finetune.data.sample import ImageFile, Part, Sample
from finetune.data.talk import Said, messages_of, text_of


def read(value: Any, reading: Reading) -> Sample:
    """Return the sample of one question.

    Raises:
        Unusable: As the reason says.
    """
    row = columns_of(value, reading.options.columns)
    episode = text_of(row, "episode_history")
    question, answer = text_of(row, "question"), text_of(row, "answer")
    shown = reading.pictures.video(episode)
    parts: list[Part] = [shown]
    if reading.options.frames_as == "images":
        parts = [ImageFile(path) for path in shown.paths]
    said: list[Said] = [("user", [*parts, question]), ("assistant", [answer])]
    row = {**row, "references": row.get("extra_answers")}
    return sample_of(row, messages_of(said), reading)

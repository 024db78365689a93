"""Draws scenes with questions into a folder that is a ready data set: pictures, rows, dataset_info.json.

The same seed draws the same data. It asks only what `finetune.data.questions` knows the answer of.
"""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from finetune.data.files import OutputExists, whole_file
from finetune.data.questions import ask
from finetune.data.registry import INFO
from finetune.data.sample import ImageFile, Message, Origin, Sample
from finetune.data.scenes import draw_scene, sample_scene
from finetune.data.writing import write_samples

ROWS = "scenes.jsonl"
NAME = "scenes"


def write_scenes(
    count: int,
    folder: Path,
    *,
    seed: int = 0,
    questions: int = 3,
    width: int = 256,
    height: int = 192,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw `count` pictures with `questions` rows each and return the data file; the kind of question is its category.

    Args:
        count: Of pictures.
        folder: Where `images/`, the rows and dataset_info.json go.
        seed: Decides everything.
        questions: Different ones about each picture.
        width: Of the pictures, in pixels.
        height: Likewise.
        force: Whether rows that are there are replaced.
        progress: Called with the number of pictures so far.

    Raises:
        OutputExists: The folder holds such rows already.
        OutputRefused: It cannot be written into.
    """
    folder = folder.expanduser().absolute()
    file = folder / ROWS
    if file.exists() and not force:
        raise OutputExists(file)
    rng = Random(seed)
    samples: list[Sample] = []
    for number in range(1, count + 1):
        scene = sample_scene(rng, width, height)
        picture = folder / "images" / f"{number:05d}.png"
        with whole_file(picture) as part:
            draw_scene(rng, scene).save(part, "PNG")
        asked: dict[str, None] = {}
        for _ in range(questions * 8):  # few questions fit an empty picture: not every draw is a new one
            if len(asked) == questions:
                break
            question = ask(rng, scene)
            if question.text.lower() in asked:
                continue
            asked[question.text.lower()] = None
            said = (
                Message("user", (ImageFile(picture), question.text)),
                Message("assistant", (question.answer,)),
            )
            origin = Origin(file, len(samples) + 1)
            samples.append(Sample(f"scene-{number:05d}-{len(asked)}", said, origin, question.kind))
        if progress is not None:
            progress(number)
    write_samples(samples, file, "sharegpt")
    entry = {"file_name": ROWS, "formatting": "sharegpt", "columns": {"messages": "conversations", "images": "images"}}
    with whole_file(folder / INFO) as part:
        part.write_text(json.dumps({NAME: entry}, indent=2) + "\n", encoding="utf-8")
    return file

"""Draws pictures with questions into a folder that is a ready data set: pictures, rows, dataset_info.json.

The same seed draws the same data. It asks only what `finetune.data.drawn.questions` or `.domains` knows the answer of.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from finetune.data.drawn.domains import draw
from finetune.data.drawn.questions import ask
from finetune.data.drawn.scenes import draw_scene, sample_scene
from finetune.data.registry import INFO
from finetune.data.sample import ImageFile, Message, Origin, Sample
from finetune.data.writing import write_samples
from finetune.output_files import OutputExists, whole_file

ROWS = "scenes.jsonl"
NAME = "scenes"
SHAPES = "shapes"
"""The world of plain shapes, of which the bundled checkpoint knows most."""


def write_scenes(
    count: int,
    folder: Path,
    *,
    seed: int = 0,
    questions: int = 3,
    world: str = SHAPES,
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
        questions: Different ones about each picture, where there are as many.
        world: `shapes`, or one of `finetune.data.drawn.domains`, whose name is then the category.
        width: Of the pictures of shapes, in pixels.
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
        drawn = _draw_shapes(rng, width, height, questions) if world == SHAPES else _draw_other(rng, world)
        picture = folder / "images" / f"{number:05d}.png"
        with whole_file(picture) as part:
            drawn.picture.save(part, "PNG")
        for place, (kind, question, answer) in enumerate(drawn.asked[:questions], start=1):
            said = (Message("user", (ImageFile(picture), question)), Message("assistant", (answer,)))
            samples.append(Sample(f"scene-{number:05d}-{place}", said, Origin(file, len(samples) + 1), kind))
        if progress is not None:
            progress(number)
    write_samples(samples, file, "sharegpt")
    entry = {"file_name": ROWS, "formatting": "sharegpt", "columns": {"messages": "conversations", "images": "images"}}
    with whole_file(folder / INFO) as part:
        part.write_text(json.dumps({NAME: entry}, indent=2) + "\n", encoding="utf-8")
    return file


@dataclass(frozen=True)
class _Drawn:
    picture: Image.Image
    asked: list[tuple[str, str, str]]
    """Category, question, answer."""


def _draw_shapes(rng: Random, width: int, height: int, questions: int) -> _Drawn:
    scene = sample_scene(rng, width, height)
    picture = draw_scene(rng, scene)
    asked: dict[str, tuple[str, str, str]] = {}
    for _ in range(questions * 8):  # few questions fit an empty picture: not every draw is a new one
        if len(asked) == questions:
            break
        question = ask(rng, scene)
        asked.setdefault(question.text.lower(), (question.kind, question.text, question.answer))
    return _Drawn(picture, list(asked.values()))


def _draw_other(rng: Random, world: str) -> _Drawn:
    drawn = draw(world, rng)
    return _Drawn(drawn.picture, [(world, question, answer) for question, answer in drawn.exchanges])

"""The pictures of a training run, drawn once: files of equal-sized pictures with what is in them.

Drawing costs more than a training step, and a picture can be asked about many times. File number i depends on the
seed and i alone, so any number of processes may draw, and a killed one goes on.
"""

import json
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.atomic_files import whole_file
from finetune.data.drawn.other_pictures import something_else
from finetune.data.drawn.scenes import Lettering, Scene, Thing, draw_scene, sample_scene
from finetune.tiny.build import SIZES

PICTURES_A_FILE = 240
WORDS = 0.2  # share of the pictures with a written word
SOMETHING_ELSE = 0.04
STRETCH = 0.1  # the processor rounds sides to 32 pixels, which stretches a picture by up to this


@dataclass(frozen=True)
class Drawings:
    """Equal-sized pictures (N, H, W, 3) of bytes and their scenes; None where the picture is no scene."""

    pixels: np.ndarray
    scenes: list[Scene | None]


def draw_all(folder: Path, files: int, seed: int, processes: int) -> None:
    """Draw what is missing of `files` files."""
    missing = [number for number in range(files) if not picture_file(folder, number).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, seed, number) for number in missing]
    with get_context("spawn").Pool(processes) as pool:
        for _ in tqdm(pool.imap_unordered(_draw_file, jobs), total=len(jobs), desc="pictures", unit="file"):
            pass


def picture_file(folder: Path, number: int) -> Path:
    """Return the path of file `number`."""
    return folder / f"{number:05d}.npz"


def load(folder: Path, number: int) -> Drawings:
    """Read file `number`."""
    with np.load(picture_file(folder, number)) as file:
        return Drawings(file["pixels"], [_scene(one) for one in json.loads(file["scenes"].tobytes())])


def _draw_file(job: tuple[Path, int, int]) -> None:
    folder, seed, number = job
    drawings = draw(seed, number)
    scenes = json.dumps([asdict(s) if s is not None else None for s in drawings.scenes]).encode()
    with whole_file(picture_file(folder, number), durable=False) as part, part.open("wb") as file:
        np.savez(file, pixels=drawings.pixels, scenes=np.frombuffer(scenes, dtype=np.uint8))


def draw(seed: int, number: int) -> Drawings:
    """Draw the pictures of file `number`: all of one size, seen as the processor would hand them over."""
    rng = Random(f"{seed}/{number}")
    width, height = rng.choice(SIZES)
    pixels, scenes = list[np.ndarray](), list[Scene | None]()
    for _ in range(PICTURES_A_FILE):
        scale = rng.choice((1.0, rng.uniform(0.4, 1), rng.uniform(1, 2.5), rng.uniform(1, 2.5)))
        stretch = 1 + rng.uniform(-STRETCH, STRETCH)
        w, h = round(width * scale * stretch), round(height * scale / stretch)
        scene = None if rng.random() < SOMETHING_ELSE else sample_scene(rng, w, h, word=rng.random() < WORDS)
        image = something_else(rng, w, h) if scene is None else draw_scene(rng, scene)
        pixels.append(np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)))
        scenes.append(scene)
    return Drawings(np.stack(pixels), scenes)


def _scene(fields: dict[str, object] | None) -> Scene | None:
    if fields is None:
        return None
    things = tuple(Thing(**one) for one in fields["things"])  # type: ignore[attr-defined]
    lettering = Lettering(**fields["lettering"]) if fields["lettering"] else None  # type: ignore[arg-type]
    rest = {**fields, "things": things, "lettering": lettering, "word_box": tuple(fields["word_box"])}  # type: ignore[arg-type]
    return Scene(**rest)  # type: ignore[arg-type]

"""Copies the pictures of samples into one folder, made smaller where asked, so that a data set can travel.

A copy's name is the start of the file's SHA-256, so equal pictures are one file. It changes no sample's words.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from finetune.data.dataset import Broken
from finetune.data.sample import Frames, ImageFile, Part, Sample
from finetune.output_files import keep_once
from model.errors import ImageError
from model.pictures.open import open_picture

JPEG_QUALITY = 92


def copy_pictures(
    samples: Sequence[Sample],
    folder: Path,
    *,
    max_pixels: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Sample], list[Broken]]:
    """Copy every picture and return the samples with the copies in place, and those with a damaged picture.

    Args:
        samples: Which.
        folder: Where copies go; made where it is missing.
        max_pixels: Larger pictures are scaled down to it, their shape kept, and saved again: PNG as PNG, others as
            JPEG.
        progress: Called with the number of samples so far.

    Raises:
        OutputRefused: The folder cannot be written into.
    """
    folder = Path(folder.expanduser()).absolute()
    copies: dict[Path, Path | ImageError] = {}
    moved: list[Sample] = []
    broken: list[Broken] = []
    for number, sample in enumerate(samples, 1):
        for path in sample.pictures:
            if path not in copies:
                copies[path] = _copied(path, folder, max_pixels)
        refused = [found for path in sample.pictures if isinstance(found := copies[path], ImageError)]
        if refused:
            broken.append(Broken(sample.origin, str(refused[0]).rstrip(".")))
        else:
            moved.append(_moved(sample, {path: copy for path, copy in copies.items() if isinstance(copy, Path)}))
        if progress is not None:
            progress(number)
    return moved, broken


def _copied(path: Path, folder: Path, max_pixels: int | None) -> Path | ImageError:
    try:
        picture = open_picture(str(path), [path.parent])
    except ImageError as refused:
        return refused
    data, suffix = path.read_bytes(), path.suffix.lower()
    if max_pixels is not None and picture.width * picture.height > max_pixels:
        scale = math.sqrt(max_pixels / (picture.width * picture.height))
        size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
        buffer, png = io.BytesIO(), suffix == ".png"
        picture.image.resize(size).save(buffer, "PNG" if png else "JPEG", quality=JPEG_QUALITY)
        data, suffix = buffer.getvalue(), ".png" if png else ".jpg"
    return keep_once(data, suffix, folder)


def _moved(sample: Sample, copies: dict[Path, Path]) -> Sample:
    def part(of: Part) -> Part:
        if isinstance(of, ImageFile):
            return ImageFile(copies[of.path])
        return replace(of, paths=tuple(copies[path] for path in of.paths)) if isinstance(of, Frames) else of

    messages = tuple(replace(message, parts=tuple(map(part, message.parts))) for message in sample.messages)
    return replace(sample, messages=messages)

"""`lorgnette ask --boxes FILE`: the question's pictures with the answer's boxes drawn in, as PNG files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.atomic_files import write_whole
from common.errors import LorgnetteError

if TYPE_CHECKING:
    from graph.answer import Answer
    from model.pictures.picture import Picture


class BoxesOverPicture(LorgnetteError):
    """The drawing would take the place of the picture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"--boxes {str(path)!r} is the picture itself; name another file.")


class BoxesNotWritten(LorgnetteError):
    """The drawing could not be written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The boxes could not be written to {str(path)!r} ({reason}); name another file.")


def png_path(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
    """Take a file's name only where it says what the file will be (click callback)."""
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"{str(value)!r} does not end in .png.")
    return value


class Boxes:
    """Remembers the pictures of the question until its answer is there."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._pictures: Sequence[Picture] = ()
        self._first = 0

    def on_pictures(self, pictures: "Sequence[Picture]", first: int) -> None:
        """Take the pictures, whose numbers in boxes begin with `first`.

        Raises:
            BoxesOverPicture: The file is one of them.
        """
        for picture in pictures:
            if picture.path is not None and picture.path == Path(os.path.realpath(self._file)):
                raise BoxesOverPicture(self._file)
        self._pictures, self._first = pictures, first

    def write(self, answer: "Answer") -> list[Path]:
        """Write a file for each picture that has boxes; with several, their numbers go into the names.

        Raises:
            BoxesNotWritten: The folder cannot be written, or the disk is full.
        """
        from lorgnette.box_drawing import boxes_png, on_picture

        by_picture = [
            (number, picture, [box for box in answer.boxes if box.image == number])
            for number, picture in enumerate(self._pictures, self._first)
        ]
        having = [found for found in by_picture if found[2]]
        written = []
        for number, picture, boxes in having:
            path = self._file if len(having) == 1 else self._file.with_stem(f"{self._file.stem}-{number}")
            _write(path, boxes_png(*on_picture(picture, boxes)))
            written.append(path)
        return written


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise BoxesNotWritten(path, error.strerror or type(error).__name__) from None

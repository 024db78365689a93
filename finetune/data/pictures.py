"""Finds the picture files that rows name and looks at their headers: is it a picture, how large. It decodes none.

Pictures that rows hold themselves become files first (`finetune.data.embedded`).
"""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlparse

from common.home import data_home
from finetune.data.embedded import embedded
from finetune.data.sample import Frames, ImageFile
from finetune.data.unusable import Unusable
from finetune.output_files import keep_once
from model.errors import ImageError
from model.pictures.files import FILM_SUFFIXES
from model.pictures.frame_folder import evenly, frames_of
from model.pictures.limits import DEFAULT_LIMITS, Sampling
from model.pictures.open import open_picture, open_source

FORMATS = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp"}
INSIDE = "the picture in the row"
SUFFIXES = (".png", ".apng", ".jpg", ".jpeg", ".mpo", ".gif", ".bmp", ".webp")
MAX_ASPECT_RATIO = 200  # as model.processor refuses; not imported, it would load transformers
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


class Pictures:
    """The pictures of one data set: where they lie, their sizes, and why some cannot be used."""

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        check: bool = True,
        frames: int = 8,
        decode: bool = False,
        kept_in: Path | None = None,
    ) -> None:
        """Keep where to look.

        Args:
            folders: In which a relative name is tried, in this order.
            check: Whether each file must exist and be a picture by its header.
            frames: How many frames are taken of a film, and of a folder that is a video.
            decode: Whether each file is also decoded once, to find what is damaged inside; slow.
            kept_in: Where pictures go that stand in the rows themselves; None refuses them.
        """
        self.folders = tuple(Path(os.path.abspath(folder.expanduser())) for folder in folders)
        self.check, self.frames, self.decode = check, frames, decode
        self.kept_in = None if kept_in is None else Path(os.path.abspath(kept_in))
        self.kept: set[Path] = set()
        """The files that pictures in rows became."""
        self.sizes: dict[Path, tuple[int, int]] = {}
        """(width, height) in pixels, upright, of every picture that was looked at and can be used."""
        self._refused: dict[Path, str] = {}
        self._films: dict[Path, Frames] = {}

    def picture(self, name: object) -> ImageFile:
        """Return the picture that a row names or holds.

        Raises:
            Unusable: No such file, no picture, too large, or not a name.
            OutputRefused, OSError: A picture that the row holds cannot be written.
        """
        data = embedded(name)
        path = self._find(name, "picture") if data is None else self._keep(data)
        self._look(path)
        return ImageFile(path)

    def video(self, name: object) -> Frames:
        """Return the frames of a video that a row gives as a film, as a list of pictures or as their folder.

        Raises:
            Unusable: As for a picture; a folder without pictures; a film that cannot be decoded.
            OutputRefused, OSError: The frames of a film cannot be written.
        """
        if isinstance(name, list):
            if not name:
                raise Unusable("a video without frames")
            return Frames(tuple(self.picture(frame).path for frame in name))
        if isinstance(name, str) and name.lower().endswith(FILM_SUFFIXES):
            return self._film(self._find(name, "film"))
        return self.evenly(self._find(name, "folder of frames"))

    def evenly(self, folder: Path) -> Frames:
        """Return evenly spaced frames of a folder, the first and the last among them; all where it holds fewer."""
        try:
            names = frames_of([entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(SUFFIXES)])
        except OSError:
            raise Unusable(f"{str(folder)!r} is no folder of frames") from None
        if not names:
            raise Unusable(f"the folder {str(folder)!r} holds no pictures")
        chosen = evenly(names, self.frames)
        return Frames(tuple(self.picture(str(folder / name)).path for name in chosen))

    def _film(self, path: Path) -> Frames:
        """Return evenly spaced frames of a film, which become files once."""
        if not self.check:
            return Frames((path,))
        if path in self._films:
            return self._films[path]
        try:
            opened = open_source(str(path), [path.parent], sampling=Sampling(frames=max(2, self.frames)))
        except ImageError as refused:
            raise Unusable(str(refused).rstrip(".")) from None
        folder = self.kept_in or data_home() / "film_frames"
        paths = []
        for picture in opened.pictures:
            written = io.BytesIO()
            picture.image.save(written, "PNG", compress_level=1)
            paths.append(keep_once(written.getvalue(), ".png", folder))
            self.sizes[paths[-1]] = picture.image.size
        found = self._films[path] = Frames(tuple(paths), tuple(picture.time_s or 0.0 for picture in opened.pictures))
        return found

    def _keep(self, data: bytes) -> Path:
        if self.kept_in is None:
            raise Unusable("the picture stands in the row; save it as a file and give its path")
        if len(data) > DEFAULT_LIMITS.bytes:
            raise Unusable(f"{INSIDE} has more than {DEFAULT_LIMITS.bytes:,} bytes")
        _, format = _header(io.BytesIO(data), INSIDE)
        path = keep_once(data, FORMATS[format], self.kept_in)
        self.kept.add(path)
        return path

    def _find(self, name: object, what: str) -> Path:
        if isinstance(name, dict) and "path" in name:  # of Hugging Face, without bytes
            name = name["path"]
        if name is None:
            raise Unusable(f"a {what} without bytes and without a name")
        if not isinstance(name, str):
            raise Unusable(f"a {what} is given as {type(name).__name__}, not as a path")
        name = _plain_path(name, what)
        if not name.strip() or "\0" in name:
            raise Unusable(f"the name of a {what} is empty or holds a NUL")
        name = os.path.expanduser(name) if name.startswith("~/") else name
        tried = [Path(os.path.normpath(folder / name)) for folder in self.folders]
        if "\\" in name and os.sep != "\\":
            tried += [Path(os.path.normpath(folder / name.replace("\\", "/"))) for folder in self.folders]
        if name != name.strip():  # `a.png, A cat` with blanks behind the commas
            tried += [Path(os.path.normpath(folder / name.strip())) for folder in self.folders]
        if not self.check:
            return tried[0]
        for path in tried:
            if os.path.exists(path):
                return path
        places = ", ".join(dict.fromkeys(repr(str(folder)) for folder in self.folders))
        raise Unusable(f"there is no {what} {name!r} (looked in {places})")

    def _look(self, path: Path) -> None:
        if not self.check or path in self.sizes:
            return
        if path not in self._refused:
            try:
                size = picture_size(path)
                if self.decode:
                    open_picture(str(path), [path.parent])
                self.sizes[path] = size
                return
            except Unusable as refused:
                self._refused[path] = refused.reason
            except ImageError as refused:
                self._refused[path] = str(refused).rstrip(".")
        raise Unusable(self._refused[path])


def picture_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of the upright picture from its header.

    Raises:
        Unusable: It is no file, no picture that is opened here, too large or too thin.
    """
    limits = DEFAULT_LIMITS
    if not path.is_file():
        raise Unusable(f"{str(path)!r} is no file")
    try:
        if path.stat().st_size > limits.bytes:
            raise Unusable(f"{str(path)!r} has more than {limits.bytes:,} bytes")
        with path.open("rb") as file:
            return _header(file, repr(str(path)))[0]
    except OSError as error:
        raise Unusable(f"{str(path)!r} cannot be opened ({error.strerror or 'unknown reason'})") from None


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, int], str]:
    """Return (width, height) in pixels of the upright picture and its format's name."""
    from PIL import Image

    limits = DEFAULT_LIMITS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=tuple(FORMATS)) as opened:
                size, format = opened.size, str(opened.format)
                # of a PNG without EXIF in front, getexif would decode the picture to look behind it
                looked = format != "PNG" or "exif" in opened.info
                if looked and opened.getexif().get(0x0112) in _TURNED:
                    size = (size[1], size[0])
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, RuntimeError, struct.error, zlib.error):
        raise Unusable(f"{name} is no readable PNG, JPEG, WebP, GIF or BMP picture") from None
    except (Image.DecompressionBombError, MemoryError):
        raise Unusable(f"{name} has more than {limits.pixels:,} pixels") from None
    if size[0] * size[1] > limits.pixels:
        raise Unusable(f"{name} has more than {limits.pixels:,} pixels")
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise Unusable(f"{name} is too thin for the model ({size[0]} x {size[1]} pixels)")
    return size, format


def _plain_path(name: str, what: str) -> str:
    scheme = name.partition(":")[0].lower()
    if scheme in ("http", "https", "ftp", "s3", "oss") and "://" in name:
        raise Unusable(f"{name[:100]!r} is a web address and nothing is fetched; download the {what}")
    if scheme == "data":
        raise Unusable(f"a {what} is written into the row (data: URL); save it and give its path")
    if scheme == "file":
        return unquote(urlparse(name).path)
    return name

"""Decodes a picture's bytes to RGB, upright, once at a time and within limits. It reads no file."""

import io
import math
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.errors import ImageError
from model.pictures.limits import ImageLimits
from model.pictures.rgb import to_rgb
from model.pictures.structure import count_gif_frames, count_jpeg_scans

if TYPE_CHECKING:
    from PIL import Image

# MPO, which phones write as .jpg, comes with JPEG: Pillow has no opener of that name to allow.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "ICO", "JPEG2000", "PPM")
_ANIMATED = ("GIF", "WEBP", "PNG")
MOST_BLANK_FRAMES = 30
"""So many frames of an animation are looked through for the first one that shows something."""
_SVG_WITHIN = 4096  # bytes: a comment may stand before it
_TGA_MARK = b"TRUEVISION-XFILE"
_SUBFILE_TYPE = 254  # a TIFF tag
_PROBE = 64  # bytes: more than any pixel's code

LARGE = 16_777_216
"""Pixels that no model here looks at more of; a larger picture is made smaller as it is decoded."""

# One decode at a time: it bounds memory, and `warnings.catch_warnings` is not safe between threads.
_decoding = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """A picture, upright and in RGB."""

    image: "Image.Image"
    """With at most `LARGE` pixels, unless more were asked for."""
    size: tuple[int, int]
    """Its width and height in the file, upright."""


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    pages: tuple[int, ...] = (0,)
    """Numbers of the file's own pictures that are pages, smaller copies of them left out."""
    animated: bool = False


def decode(source: str, data: bytes, limits: ImageLimits, *, page: int | None = None, full: bool = False) -> Decoded:
    """Return one picture of `data`.

    Args:
        source: As the caller named it.
        data: The file's bytes.
        limits: What it may cost.
        page: Number of the picture in the file; None takes the first frame that shows something.
        full: Whether it is wanted at its full size whatever that is, to cut something out of it.

    Raises:
        ImageError: By what its header says, or because it is damaged.
    """
    with _opened(source, data, limits) as opened:
        if page is not None:
            opened.seek(page)
            _check_header(opened, source, data, limits)
        width, height = opened.size
        scale = 1 if full else _shrink(opened.size)
        if scale > 1 and opened.format in ("JPEG", "MPO"):
            opened.draft(opened.mode, (math.ceil(width / scale), math.ceil(height / scale)))
        image = _loaded(opened, data) if page is None else _upright(to_rgb(opened), _orientation(opened))
        if not full and (left := _shrink(image.size)) > 1:
            image = image.reduce(left)
        # No comment, place or colour profile of another mode may reach a file or an address that it is saved to.
        image.info.clear()
        turned = (image.width > image.height) != (width > height) if image.width != image.height else width != height
        return Decoded(image, (height, width) if turned else (width, height))


def contents(source: str, data: bytes, limits: ImageLimits) -> Contents:
    """Return what the bytes hold, by their headers.

    Raises:
        ImageError: As `decode`.
    """
    with _opened(source, data, limits) as opened:
        count = int(getattr(opened, "n_frames", 1))
        if opened.format != "TIFF":
            return Contents(animated=opened.format in _ANIMATED and count > 1)
        pages = []
        for number in range(min(count, limits.frames)):
            opened.seek(number)
            if not int(opened.tag_v2.get(_SUBFILE_TYPE, 0)) & 1:  # type: ignore[attr-defined]  # a smaller copy
                pages.append(number)
        return Contents(tuple(pages) or (0,))


def decode_frames(
    source: str, data: bytes, limits: ImageLimits, wanted: Callable[[float], Sequence[float]], *, full: bool = False
) -> list[tuple[float, Decoded]]:
    """Return frames of an animation with their times in seconds, each frame once.

    Args:
        source: As the caller named it.
        data: The file's bytes.
        limits: What it may cost.
        wanted: Called with the seconds that it takes to play; returns the moments that are wanted, ascending.
        full: As for `decode`.

    Raises:
        ImageError: As `decode`.
    """
    with _opened(source, data, limits) as opened:
        starts, time = [], 0.0
        for number in range(int(getattr(opened, "n_frames", 1))):
            opened.seek(number)
            opened.load()
            starts.append(time)
            # Browsers show a frame that states less than 20 ms for a tenth of a second.
            stated = float(opened.info.get("duration") or 0) / 1000
            time += stated if stated >= 0.02 else 0.1
        numbers = [max((n for n, at in enumerate(starts) if at <= moment), default=0) for moment in wanted(time)]
        frames = []
        for number in dict.fromkeys(numbers):
            opened.seek(number)
            image = to_rgb(opened)
            size = image.size
            if not full and (left := _shrink(size)) > 1:
                image = image.reduce(left)
            image.info.clear()
            frames.append((starts[number], Decoded(image, size)))
        return frames


@contextmanager
def _opened(source: str, data: bytes, limits: ImageLimits) -> Iterator["Image.Image"]:
    """Open the bytes by their header, and turn whatever goes wrong inside into an ImageError."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageError("image_file_empty", source=source)
    # `from None` throughout: Pillow's messages may quote the file's bytes.
    with _decoding, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large and of odd files; our own checks decide
        try:
            with Image.open(io.BytesIO(data), formats=_formats(source, data)) as opened:
                _check_header(opened, source, data, limits)
                yield opened
        except ImageError:
            raise
        except UnidentifiedImageError:
            if b"<svg" in data[:_SVG_WITHIN]:
                raise ImageError("image_is_svg", source=source) from None
            raise ImageError("image_format_refused", source=source) from None
        except (Image.DecompressionBombError, MemoryError):
            raise ImageError.too_many_pixels(source, limits.pixels) from None
        # Pillow promises no closed set of exceptions for hostile bytes; its own fuzzers catch them all, too.
        except Exception:
            raise ImageError("image_damaged", source=source) from None


def _shrink(size: tuple[int, int]) -> int:
    """Return the whole number by which both sides are divided so that at most `LARGE` pixels are left."""
    return max(1, math.ceil(math.sqrt(size[0] * size[1] / LARGE)))


def _formats(source: str, data: bytes) -> tuple[str, ...]:
    """Return Pillow's names of the formats that the bytes may be of."""
    if data[4:8] == b"ftyp":  # HEIC and AVIF share a container
        import pi_heif

        pi_heif.register_heif_opener()
        return ("AVIF", "HEIF")
    # A TGA begins with no mark; its name tells it, or the mark at its end that newer ones have.
    is_tga = source.lower().partition("#")[0].endswith(".tga") or data[-26:].find(_TGA_MARK) >= 0
    return (*_FORMATS, "TGA") if is_tga else _FORMATS


def _loaded(opened: "Image.Image", data: bytes) -> "Image.Image":
    """Return the picture decoded; a JPEG that lacks its end marker and nothing else is whole."""
    try:
        opened.load()
    except OSError:
        whole = _without_end(data) if opened.format in ("JPEG", "MPO") else None
        if whole is None:
            raise
        return _upright(to_rgb(whole), _orientation(opened))
    orientation = _orientation(opened)  # only now: of a TIFF Pillow turns the pixels itself, and takes the tag away
    return _upright(_first_that_shows_something(opened), orientation)


def _first_that_shows_something(opened: "Image.Image") -> "Image.Image":
    """Return the first frame that is not of one colour; the first of all where none of the next ones is."""
    first = to_rgb(opened)
    frames = min(int(getattr(opened, "n_frames", 1)), MOST_BLANK_FRAMES) if opened.format in _ANIMATED else 1
    if frames > 1 and _is_blank(first):
        for number in range(1, frames):
            opened.seek(number)
            image = to_rgb(opened)
            if not _is_blank(image):
                return image
    return first


def _without_end(data: bytes) -> "Image.Image | None":
    """Return the picture of a JPEG whose last bytes are its last pixels; None if pixels are missing too.

    Bytes behind the last pixel change nothing, whatever they are; where pixels are missing they are taken for them.
    """
    from PIL import Image

    cut = data[:-1] if data.endswith(b"\xff") else data
    pictures = []
    for more in (b"", b"\x55" * _PROBE, b"\x0a" * _PROBE):
        with Image.open(io.BytesIO(cut + more + b"\xff\xd9"), formats=("JPEG",)) as opened:
            opened.load()
            pictures.append(opened.copy())
    first = pictures[0].tobytes()
    return pictures[0] if all(picture.tobytes() == first for picture in pictures[1:]) else None


def _is_blank(image: "Image.Image") -> bool:
    return image.getcolors(maxcolors=1) is not None


def _check_header(opened: "Image.Image", source: str, data: bytes, limits: ImageLimits) -> None:
    """Refuse what would cost too much to decode."""
    pixels = limits.jpeg_pixels if opened.format in ("JPEG", "MPO") else limits.pixels
    if opened.width * opened.height > pixels:
        raise ImageError.too_many_pixels(source, pixels, opened.size)
    # A GIF does not state how many frames it has, and Pillow's own count has no end where ours has.
    gif = opened.format == "GIF"
    frames = count_gif_frames(data, limits.frames) if gif else int(getattr(opened, "n_frames", 1))
    if frames > limits.frames:
        raise ImageError("image_too_many_frames", source=source, limit=limits.frames)
    if opened.format in ("JPEG", "MPO") and count_jpeg_scans(data, limits.scans) > limits.scans:
        raise ImageError("image_too_many_scans", source=source, limit=limits.scans)


def _orientation(opened: "Image.Image") -> int:
    """Return EXIF's orientation, 1 to 8; 1, as stored, where there is none or it cannot be read."""
    from PIL import ExifTags

    try:
        value = opened.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: "Image.Image", orientation: int) -> "Image.Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image

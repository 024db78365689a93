"""Decodes a picture's bytes to RGB, upright, once at a time and within limits. It reads no file."""

import io
import struct
import threading
import warnings
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
_PROBE = 64  # bytes: more than any pixel's code

# One decode at a time: it bounds memory, and `warnings.catch_warnings` is not safe between threads.
_decoding = threading.Lock()


def decode(source: str, data: bytes, limits: ImageLimits) -> "Image.Image":
    """Return the first frame of `data` that shows something, upright and in RGB.

    Args:
        source: As the caller named it.
        data: The file's bytes.
        limits: What it may cost.

    Raises:
        ImageError: By what its header says, or because it is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ImageError("image_file_empty", source=source)
    # `from None` throughout: Pillow's messages may quote the file's bytes.
    with _decoding, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large and of odd files; our own checks decide
        try:
            with Image.open(io.BytesIO(data), formats=_formats(source, data)) as opened:
                _check_header(opened, source, data, limits)
                image = _loaded(opened, data)
        except ImageError:
            raise
        except UnidentifiedImageError:
            raise ImageError("image_format_refused", source=source) from None
        except (Image.DecompressionBombError, MemoryError):
            raise ImageError.too_many_pixels(source, limits.pixels) from None
        # Pillow promises no closed set of exceptions for hostile bytes; its own fuzzers catch them all, too.
        except Exception:
            raise ImageError("image_damaged", source=source) from None
    # No comment, place or colour profile of another mode may reach a file or an address that it is saved to.
    image.info.clear()
    return image


def _formats(source: str, data: bytes) -> tuple[str, ...]:
    """Return Pillow's names of the formats that the bytes may be of."""
    if data[4:8] == b"ftyp":  # HEIC and AVIF share a container
        import pi_heif  # type: ignore[import-untyped]

        pi_heif.register_heif_opener()
        return ("AVIF", "HEIF")
    # A TGA has no mark of its own: only its name tells it from any other bytes.
    return (*_FORMATS, "TGA") if source.lower().endswith(".tga") else _FORMATS


def _loaded(opened: "Image.Image", data: bytes) -> "Image.Image":
    """Return the picture decoded; a JPEG that lacks its end marker and nothing else is whole."""
    try:
        opened.load()
    except OSError:
        whole = _without_end(data) if opened.format in ("JPEG", "MPO") else None
        if whole is None:
            raise
        return _upright(to_rgb(whole), _orientation(opened))
    orientation = _orientation(opened)
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
    if opened.width * opened.height > limits.pixels:
        raise ImageError.too_many_pixels(source, limits.pixels, opened.size)
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
    return value if isinstance(value, int) else 1


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

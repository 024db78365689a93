"""Opens a picture from bytes that a stranger wrote: limited by its header before anything is decoded, upright, RGB.

It reads no words and touches no file. Only the first frame of an animation is opened.
"""

import io
import struct
import threading
import warnings
from typing import TYPE_CHECKING

from retrieval.reading.unreadable import Broken, TooLarge

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")

# `warnings.catch_warnings` is not safe between threads; one decode at a time also bounds memory.
_opening = threading.Lock()


def count_frames(data: bytes) -> int:
    """Return how many pages a TIFF has; 1 for any other picture, and for one that cannot be opened."""
    from PIL import Image

    with _opening:
        try:
            with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
                return getattr(picture, "n_frames", 1)
        except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError):
            return 1


def open_picture(data: bytes, *, max_pixels: int, frame: int = 0) -> "Image.Image":
    """Open a picture as a camera or a screen showed it, on white where it is transparent.

    Raises:
        Broken: It is damaged, or none of PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF and HEIC.
        TooLarge: Its header promises more than `max_pixels`.
    """
    import pi_heif
    from PIL import Image, ImageOps, UnidentifiedImageError

    pi_heif.register_heif_opener()
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large and of odd files; the limit and the decoder decide
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                if picture.width * picture.height > max_pixels:
                    raise TooLarge("its number of pixels", picture.width * picture.height, max_pixels)
                if frame:
                    picture.seek(frame)
                picture.load()
                upright = ImageOps.exif_transpose(_eight_bits(picture))
                if upright.has_transparency_data:
                    page = Image.new("RGBA", upright.size, "white")
                    upright = Image.alpha_composite(page, upright.convert("RGBA"))
                return upright.convert("RGB")
        except UnidentifiedImageError:
            raise Broken("picture", "it is none of PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF and HEIC") from None
        except Image.DecompressionBombError:
            raise Broken("picture", "its header promises far more pixels than are allowed") from None
        # Pillow's decoders raise these, and no base of them, for damaged bytes.
        except (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError) as error:
            raise Broken("picture", f"{type(error).__name__}: {error}") from None


def _eight_bits(picture: "Image.Image") -> "Image.Image":
    """Spread deep greys over eight bits: Pillow would cut off all above 255."""
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    deep = picture.convert("F")
    darkest, brightest = deep.getextrema()
    assert isinstance(darkest, float) and isinstance(brightest, float), "one band"
    scale = 255.0 / (brightest - darkest) if brightest > darkest else 1.0
    return deep.point(lambda grey: grey * scale - darkest * scale).convert("L")

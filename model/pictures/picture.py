"""A picture that was opened, which part of its file it is, and its way out as a data: URL. It reads no file."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from model.pictures.source import WHOLE, Fragment

if TYPE_CHECKING:
    from PIL import Image

_LOSSLESS_PIXELS = 1 << 20


@dataclass(frozen=True)
class Picture:
    """A picture that was opened once, safely; two are equal when source, path, bytes and part are."""

    source: str
    """As the caller gave it; a data: URL is shortened to `data:image/png;sha256=...`."""
    path: Path | None
    """Where the file really is, links followed; None for a data: URL."""
    image: "Image.Image" = field(compare=False, repr=False)
    """RGB, upright by its EXIF, fully decoded: what is looked at."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    part: Fragment = WHOLE
    """Which part of the file this picture is, so that it can be opened again alone."""
    data: bytes | None = field(default=None, compare=False, repr=False)
    """The file's bytes, where it came as a data: URL."""
    time_s: float | None = None
    """Of a frame, from the beginning of its film."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the whole picture in the file, upright; boxes are told in these pixels."""
    place: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, upper, right and lower edge of what is looked at, in the pixels of `size`."""
    whole: "Image.Image | None" = field(default=None, compare=False, repr=False)
    """The whole picture, where `image` is a region of it."""

    def __post_init__(self) -> None:
        if not self.size[0]:
            object.__setattr__(self, "size", self.image.size)
        if not self.place[2]:
            object.__setattr__(self, "place", (0, 0, *self.size))

    @property
    def width(self) -> int:
        """Width in pixels of what is looked at."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels of what is looked at."""
        return self.image.height

    def in_file(self, x1: int, y1: int, x2: int, y2: int) -> tuple[int, int, int, int]:
        """Return a box in pixels of `image` as one in pixels of the whole picture in the file."""
        left, top, right, bottom = self.place
        wide, high = (right - left) / self.image.width, (bottom - top) / self.image.height
        found = round(left + x1 * wide), round(top + y1 * high), round(left + x2 * wide), round(top + y2 * high)
        return found[0], found[1], max(found[0] + 1, found[2]), max(found[1] + 1, found[3])

    def to_draw_on(self) -> tuple["Image.Image", float]:
        """Return the whole picture, and how many of its pixels stand for one of the file."""
        image = self.whole or self.image
        return image, image.width / self.size[0]


def to_data_url(picture: Picture, *, lossless: bool = False) -> str:
    """Return the upright RGB picture as a data: URL: PNG up to a megapixel or where `lossless`, JPEG above."""
    buffer = io.BytesIO()
    small = picture.width * picture.height <= _LOSSLESS_PIXELS
    if small or lossless:
        mime = "image/png"
        picture.image.save(buffer, "PNG", compress_level=6 if small else 1)  # large: time counts more than bytes
    else:
        mime = "image/jpeg"
        # Without chroma subsampling, so that small coloured text in a screenshot stays legible.
        picture.image.save(buffer, "JPEG", quality=92, subsampling=0)
    return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"

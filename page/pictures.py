"""Pictures for the browser: each under an address of its own, drawn when the browser asks for it. It knows no elements.

What is served is the picture as the agent saw it (upright, a page drawn, a frame of a film), scaled down for the
screen; boxes are told in pixels of the file, so that each picture knows its scale.
"""

import hashlib
import io
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graph.answer import Seen
from model.pictures.open import open_again

if TYPE_CHECKING:
    from model.pictures.picture import Picture

LONGEST_SIDE = 2_048
"""Of what is sent to the browser."""
KEPT_BYTES = 128 * 2**20
PNG_PIXELS = 1 << 20
ROUTE = "/picture"


@dataclass(frozen=True)
class Shown:
    """A picture as the page shows it."""

    url: str
    """Under the page's own path."""
    name: str
    path: str
    """Of its file."""
    part: str
    """Of the file, such as `page=3`."""
    width: int = 0
    """Of the whole picture in its file, upright; 0 where it was not opened yet."""
    height: int = 0
    scale: float = 1.0
    """Pixels of what is sent for one of the file."""

    @property
    def source(self) -> str:
        """As a question names it."""
        return f"{self.path}#{self.part}" if self.part else self.path


class Pictures:
    """All that one server shows; the last ones are kept drawn."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Path, str]] = {}
        self._drawn: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of_file(self, path: Path, part: str = "") -> Shown:
        """Return a picture that will be opened when the browser asks for it."""
        key = hashlib.sha256(f"{os.fspath(path)}\0{part}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._known[key] = (path, part)
        return Shown(f"{ROUTE}/{key}", path.name, str(path), part)

    def of_seen(self, seen: Seen) -> Shown:
        """Return a picture of an earlier question."""
        shown = self.of_file(Path(seen.path), seen.part)
        name = shown.name if not seen.source.startswith("data:") else ""
        return Shown(shown.url, name, shown.path, shown.part)

    def measured(self, shown: Shown) -> Shown:
        """Return it with its size; opens it, so call it on a thread.

        Raises:
            ImageError: It cannot be opened any more.
        """
        return self._measured(shown, self._open(Path(shown.path), shown.part))

    def of_picture(self, picture: "Picture") -> Shown | None:
        """Return a picture that was opened for a question; None if it came as data and has no file."""
        if picture.path is None:
            return None
        return self._measured(self.of_file(picture.path, str(picture.part)), picture)

    def data(self, key: str) -> tuple[bytes, str] | None:
        """Return a picture's bytes and their type, None if there is none of that key; draws it, so call it on a thread.

        Raises:
            ImageError: Its file cannot be opened any more.
        """
        with self._lock:
            if key in self._drawn:
                self._drawn.move_to_end(key)
                return self._drawn[key]
        if key not in self._known:
            return None
        encoded = _encoded(self._open(*self._known[key]))
        with self._lock:
            self._drawn[key] = encoded
            self._bytes += len(encoded[0])
            while self._bytes > KEPT_BYTES and len(self._drawn) > 1:
                _, (old, _) = self._drawn.popitem(last=False)
                self._bytes -= len(old)
        return encoded

    def _measured(self, shown: Shown, picture: "Picture") -> Shown:
        image, scale = picture.to_draw_on()
        scale *= min(1.0, LONGEST_SIDE / max(image.size))
        return Shown(shown.url, shown.name, shown.path, shown.part, *picture.size, scale)

    def _open(self, path: Path, part: str) -> "Picture":
        return open_again(path, part, (path.parent,))


def _encoded(picture: "Picture") -> tuple[bytes, str]:
    image, _ = picture.to_draw_on()
    if max(image.size) > LONGEST_SIDE:
        image = image.copy()
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    if image.width * image.height <= PNG_PIXELS:
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "image/png"
    image.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue(), "image/jpeg"

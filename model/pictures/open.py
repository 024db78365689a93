"""Opens a picture that a stranger named: one safe read inside the roots, one bounded decode to RGB.

It fetches nothing, runs nothing, and does not know models: scaling down to a pixel budget is the processor's.
"""

import base64
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from model.errors import ImageError
from model.pictures.decode import decode
from model.pictures.limits import DEFAULT_LIMITS, ImageLimits

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jfif", ".mpo", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif",
    ".hif", ".tif", ".tiff", ".ico", ".jp2", ".j2k", ".pbm", ".pgm", ".ppm", ".pnm", ".tga",
)  # fmt: skip
"""By which a file is looked for as a picture; what it is, its first bytes say."""

# `C:\a.png` is no address, and neither is a file called "at 12:30.png": hence the list after the first form.
_ADDRESS = re.compile(r"\s*(?:([^/\\]+)://|(file|https?|ftp|blob|javascript):)", re.IGNORECASE)
_DATA_HEADER = re.compile(r"data:(image/[a-z0-9.+-]{1,60})(?:;[^;,]{1,60}){0,8};base64", re.IGNORECASE)
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(COM|LPT)[0-9¹²³])\s*:?", re.IGNORECASE)

# O_NONBLOCK: opening a pipe nobody writes to must not wait. O_BINARY exists on Windows only, the others not there.
_FILE_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FILE_FLAGS |= getattr(os, _name, 0)
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
for _name in ("O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER_FLAGS |= getattr(os, _name, 0)

_LOSSLESS_PIXELS = 1 << 20


@dataclass(frozen=True)
class Picture:
    """A picture that was opened once, safely; two are equal when source, path and bytes are."""

    source: str
    """As the caller gave it; a data: URL is shortened to `data:image/png;sha256=...`."""
    path: Path | None
    """Where the file really is, links followed; None for a data: URL."""
    image: "Image.Image" = field(compare=False, repr=False)
    """RGB, upright by its EXIF, full size, fully decoded."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""

    @property
    def width(self) -> int:
        """Width in pixels after the EXIF rotation; boxes are in these pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels after the EXIF rotation; boxes are in these pixels."""
        return self.image.height


def open_picture(source: str, roots: Sequence[Path], *, limits: ImageLimits = DEFAULT_LIMITS) -> Picture:
    """Open the picture that `source` names.

    Args:
        source: A path, absolute, with `~`, or relative to one of the roots; or a base64 data: URL.
        roots: Folders that may be read, with all below them; a relative path is tried against each in order.
        limits: What the picture may cost.

    Raises:
        ImageError: One child of it for each reason; nothing else is raised for any text or any bytes.
    """
    if source.lstrip()[:5].lower() == "data:":
        mime, data = _read_data_url(source, limits)
        sha256 = hashlib.sha256(data).hexdigest()
        label = f"data:{mime};sha256={sha256}"
        return Picture(label, None, decode(label, data, limits), sha256)
    _check_name(source)
    path, data = _read_file(source, roots, limits.bytes)
    return Picture(source, path, decode(source, data, limits), hashlib.sha256(data).hexdigest())


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


def _check_name(source: str) -> None:
    """Refuse what cannot be the path of a local file, before the file system hears of it."""
    if not source.strip():
        raise ImageError("image_source_empty")
    if "\0" in source:
        raise ImageError("image_name_has_nul", source=source)
    if address := _ADDRESS.match(source):
        scheme = (address[1] or address[2]).lower()
        if scheme == "file":
            raise ImageError("image_file_url", source=source)
        raise ImageError("image_web_address", source=source, scheme=scheme)
    if source.lstrip().replace("\\", "/").startswith("//"):
        raise ImageError("image_network_path", source=source)
    name = re.split(r"[/\\]", source)[-1]
    if _DEVICE.fullmatch(name.partition(".")[0].strip()):
        raise ImageError("image_device_name", source=source)
    try:
        os.fsencode(source)
    except UnicodeEncodeError:
        reason = "the name has characters that no file name can hold"
        raise ImageError("image_not_readable", source=source, reason=reason) from None


def _read_file(source: str, roots: Sequence[Path], max_bytes: int) -> tuple[Path, bytes]:
    """Return where the file really is, and its bytes."""
    # realpath rather than Path.resolve, which raises RuntimeError for a loop of links on some versions.
    real_roots = [Path(os.path.realpath(root.expanduser())) for root in roots]
    name = os.path.expanduser(source)
    # root / name is name itself where that is absolute; dict.fromkeys keeps the order and drops its repeats.
    candidates = dict.fromkeys(Path(os.path.realpath(root / name)) for root in real_roots)
    inside = {path: root for path in candidates for root in real_roots if path.is_relative_to(root)}
    if real_roots and not any(root.is_dir() for root in real_roots):
        raise ImageError("image_root_missing", source=source, root=str(real_roots[0]))
    if not inside:
        # Said before anything outside was touched: the answer is the same whether or not the file exists.
        raise ImageError.outside_roots(source, real_roots)
    for path, root in inside.items():
        try:
            descriptor = _open_beneath(root, path)
        except OSError as error:
            if os.path.realpath(path) != os.fspath(path):
                raise ImageError("image_moved", source=source) from None
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise ImageError(
                    "image_not_readable", source=source, reason=error.strerror or "unknown reason"
                ) from None
        else:
            return path, _read_descriptor(source, descriptor, max_bytes)
    raise ImageError.not_found(source, _similar_names(path for path, root in inside.items() if path != root))


def _open_beneath(root: Path, path: Path) -> int:
    """Open an already resolved `path` folder by folder from `root`, following no link on the way.

    A folder that is swapped for a link after the check therefore fails to open, whenever it happens.
    Windows cannot open relative to a folder: there only the check itself protects, and making a link
    needs a privilege.
    """
    if os.open not in os.supports_dir_fd:
        return os.open(path, _FILE_FLAGS)
    *folders, name = path.relative_to(root).parts or (".",)
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        for part in folders:
            deeper = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return os.open(name, _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _read_descriptor(source: str, descriptor: int, max_bytes: int) -> bytes:
    """Read a regular file of at most `max_bytes`, and close the descriptor in any case."""
    try:
        # fstat first: fdopen would raise its own error for a folder, and reading a pipe would wait.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("image_not_a_file", source=source, kind=_kind(status.st_mode))
        if status.st_size > max_bytes:
            raise ImageError("image_file_too_large", source=source, limit=max_bytes)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ImageError("image_not_readable", source=source, reason=error.strerror or "unknown reason") from None
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:  # it grew since fstat
        raise ImageError("image_file_too_large", source=source, limit=max_bytes)
    return data


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "device"


def _similar_names(paths: Iterable[Path]) -> list[str]:
    """Return up to three names of pictures that stand beside the missing `paths` and are spelled much like them."""
    names: list[str] = []
    for path in paths:
        try:
            with os.scandir(path.parent) as entries:
                beside = {entry.name.casefold(): entry.name for entry in islice(entries, 5_000)}
        except OSError:
            continue
        pictures = [name for name in beside if name.endswith(SUFFIXES)]
        names += [beside[name] for name in get_close_matches(path.name.casefold(), pictures)]
    return names[:3]


def _read_data_url(url: str, limits: ImageLimits) -> tuple[str, bytes]:
    """Return the MIME type and the bytes of a base64 data: URL; blanks and percent escapes do no harm."""
    if len(url) > limits.url_chars:
        raise ImageError("image_data_url_too_long", chars=len(url), limit=limits.url_chars)
    head, comma, payload = url.partition(",")
    header = _DATA_HEADER.fullmatch("".join(head.split()))
    if not comma or not header:
        raise ImageError("image_data_url_invalid", problem="is not an image/* type in base64")
    try:
        encoded = b"".join(unquote_to_bytes(payload.encode("ascii")).split()).rstrip(b"=")
        data = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # also binascii.Error and UnicodeEncodeError
        raise ImageError("image_data_url_invalid", problem="does not hold valid base64 after its comma") from None
    mime = header[1].lower()
    if len(data) > limits.bytes:
        raise ImageError("image_file_too_large", source=f"data:{mime}", limit=limits.bytes)
    return mime, data

"""Opens a file that a stranger named: inside the roots, link-safe, and never a pipe, a device or an address."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from model.errors import ImageError
from model.pictures.drawn import ID, PREFIX, drawn_folder, drawn_path
from model.pictures.source import tidied

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jfif", ".mpo", ".gif", ".bmp", ".dib", ".webp", ".avif", ".heic", ".heif",
    ".hif", ".tif", ".tiff", ".ico", ".jp2", ".j2k", ".pbm", ".pgm", ".ppm", ".pnm", ".tga",
)  # fmt: skip
"""By which a file is looked for as a picture; what it is, its first bytes say."""
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv", ".3gp", ".flv", ".wmv")
"""By which a file is looked for as a film."""
LOOKED_AT = (*SUFFIXES, *FILM_SUFFIXES, ".pdf")
"""By which a file is looked for as something that can be looked at."""

# `C:\a.png` is no address, and neither is a file called "at 12:30.png": hence the list after the first form.
_ADDRESS = re.compile(r"\s*(?:([^/\\]+)://|(file|https?|ftp|blob|javascript):)", re.IGNORECASE)
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(COM|LPT)[0-9¹²³])\s*:?", re.IGNORECASE)

# O_NONBLOCK: opening a pipe nobody writes to must not wait. O_BINARY exists on Windows only, the others not there.
_FILE_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FILE_FLAGS |= getattr(os, _name, 0)
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
for _name in ("O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER_FLAGS |= getattr(os, _name, 0)


@contextmanager
def opened(name: str, roots: Sequence[Path], source: str) -> Iterator[tuple[Path, BinaryIO]]:
    """Open the regular file of that name; yields where it really is, and the file.

    Args:
        name: A path, absolute, with `~`, or relative to one of the roots; a `file:` address of this machine; or
            `lorgnette://picture/ID`, which the answer to an earlier question gave. Blanks and quotation marks around
            it, composed and decomposed letters, and the kinds of blanks do not matter.
        roots: Folders that may be read, with all below them; a relative path is tried against each in order.
        source: What errors call it.

    Raises:
        ImageError: It is outside the roots, missing, no file, or unreadable.
    """
    name = path_of(name, source)
    lower = name.lower()
    if lower.startswith(PREFIX) and ID.fullmatch(lower.removeprefix(PREFIX)):
        folder = drawn_folder()
        name, roots = str(drawn_path(lower.removeprefix(PREFIX), folder)), (folder,)
        if not os.path.isfile(name):
            raise ImageError("image_drawn_gone", source=source)
    else:
        _check_name(name, source)
    path, descriptor = _found(source, name, roots)
    try:
        # fstat first: fdopen would raise its own error for a folder, and reading a pipe would wait.
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ImageError("image_not_a_file", source=source, kind=_kind(mode), path=path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield path, file
    except OSError as error:
        raise ImageError("image_not_readable", source=source, reason=error.strerror or "unknown reason") from None
    finally:
        os.close(descriptor)


def path_of(name: str, source: str) -> str:
    """Return the path of a `file:` address; anything else as it is, without what stands around it."""
    name = tidied(name)
    if name[:5].lower() != "file:":
        return name
    try:
        parts = urlsplit(name)
        host = parts.netloc.lower()
    except ValueError:
        host = "?"
    if host not in ("", "localhost", "127.0.0.1"):
        raise ImageError("image_file_url", source=source)
    # Not urlsplit's path: a `#` or `?` that was not escaped belongs to the name.
    path = unquote(re.sub(r"(?i)^file:(?://(?:localhost|127\.0\.0\.1)?(?=/))?", "", name))
    return path[1:] if re.match(r"/[A-Za-z]:[/\\]", path) else path


def _check_name(name: str, source: str) -> None:
    """Refuse what cannot be the path of a local file, before the file system hears of it."""
    if not name:
        raise ImageError("image_source_empty")
    if "\0" in name:
        raise ImageError("image_name_has_nul", source=source)
    if address := _ADDRESS.match(name):
        scheme = (address[1] or address[2]).lower()
        raise ImageError("image_web_address", source=source, scheme=scheme)
    if name.replace("\\", "/").startswith("//"):
        raise ImageError("image_network_path", source=source)
    last = re.split(r"[/\\]", name)[-1]
    if _DEVICE.fullmatch(last.partition(".")[0].strip()):
        raise ImageError("image_device_name", source=source)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        reason = "the name has characters that no file name can hold"
        raise ImageError("image_not_readable", source=source, reason=reason) from None


def _found(source: str, name: str, roots: Sequence[Path]) -> tuple[Path, int]:
    """Return where the file really is, and a descriptor of it."""
    # realpath rather than Path.resolve, which raises RuntimeError for a loop of links on some versions.
    real_roots = [Path(os.path.realpath(root.expanduser())) for root in roots]
    name = os.path.expanduser(name)
    # root / name is name itself where that is absolute; dict.fromkeys keeps the order and drops its repeats.
    candidates = dict.fromkeys(Path(os.path.realpath(root / name)) for root in real_roots)
    inside = {path: root for path in candidates for root in real_roots if path.is_relative_to(root)}
    if real_roots and not any(root.is_dir() for root in real_roots):
        raise ImageError("image_root_missing", source=source, root=str(real_roots[0]))
    if not inside:
        # Said before anything outside was touched: the answer is the same whether or not the file exists.
        raise ImageError.outside_roots(source, real_roots)
    spelled = {path: root for found, root in inside.items() if (path := _as_spelled(root, found)) is not None}
    for path, root in {**inside, **spelled}.items():
        try:
            return path, _open_beneath(root, path)
        except OSError as error:
            if os.path.realpath(path) != os.fspath(path):
                raise ImageError("image_moved", source=source) from None
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise ImageError(
                    "image_not_readable", source=source, reason=error.strerror or "unknown reason"
                ) from None
    near = _similar_names(path for path, root in inside.items() if path != root)
    raise ImageError.not_found(source, near, [difference(Path(name).name, one) for one in near])


def _as_spelled(root: Path, path: Path) -> Path | None:
    """Return the missing path as its folders and file are really spelled; None if nothing is spelled so.

    macOS writes a narrow blank into the names of screenshots and decomposes letters, and programs that pass the name
    on do neither.
    """
    if os.path.lexists(path):
        return None
    at = root
    for part in path.relative_to(root).parts:
        if not os.path.lexists(at / part):
            try:
                with os.scandir(at) as entries:
                    alike = [e.name for e in islice(entries, 5_000) if folded(e.name) == folded(part)]
            except OSError:
                return None
            if len(alike) != 1:
                return None
            part = alike[0]
        at = at / part
    real = Path(os.path.realpath(at))
    return real if real.is_relative_to(root) else None


def folded(name: str) -> str:
    """Return a file's name with its letters composed and every kind of blank as one plain blank."""
    name = unicodedata.normalize("NFC", name)
    return "".join(" " if c.isspace() else c for c in name if c not in "\u200b\u200e\u200f\u2060\ufeff").strip()


def difference(asked: str, there: str) -> str:
    """Return in words what tells two names apart that look alike; empty where one sees it."""
    for number, (a, b) in enumerate(zip(asked, there, strict=False), 1):
        if a != b:
            if a.isascii() and b.isascii() and not a.isspace() and not b.isspace():
                return ""
            return f"its character {number} is {_character(b)}, not {_character(a)}"
    return ""


def _character(c: str) -> str:
    return f"{unicodedata.name(c, 'unnamed')} (U+{ord(c):04X})"


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
        pictures = [name for name in beside if name.endswith(LOOKED_AT)]
        names += [beside[name] for name in get_close_matches(path.name.casefold(), pictures)]
    return names[:3]

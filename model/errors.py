"""What can go wrong with pictures and models, named for what the caller can do about it.

Messages are one sentence that ends with what to do; the values are attributes.
"""

from collections.abc import Sequence
from pathlib import Path

from common.errors import LorgnetteError


class ModelError(LorgnetteError):
    """The model cannot do what was asked of it."""


class Cancelled(ModelError):
    """The caller cancelled the call."""

    def __init__(self) -> None:
        super().__init__("The call was cancelled; ask again if the answer is still wanted.")


class ImageError(LorgnetteError):
    """The picture cannot be used."""


def _quoted(source: str) -> str:
    """Return `source` as Python would write it, without its middle where it is long."""
    return repr(source if len(source) <= 160 else f"{source[:100]}...{source[-50:]}")


class ImageSourceEmpty(ImageError):
    """No picture was named."""

    def __init__(self) -> None:
        super().__init__("The name of the picture is empty; give a path or a data: URL.")


class ImageNameHasNul(ImageError):
    """The name holds a NUL character, which no file name can."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"The picture name {_quoted(source)} holds a NUL character; remove it.")


class ImageFileUrl(ImageError):
    """A file:// address where a path is wanted."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"{_quoted(source)} is a file: address; give the plain path instead.")


class ImageWebAddress(ImageError):
    """An address that would have to be fetched; nothing is ever fetched."""

    def __init__(self, source: str, scheme: str) -> None:
        self.source = source
        self.scheme = scheme
        super().__init__(
            f"{_quoted(source)} is an address ({_quoted(scheme)}) and pictures are never fetched; "
            "download it and give the path of the file."
        )


class ImageNetworkPath(ImageError):
    r"""A path that begins with two slashes: a network share, or a device such as `\\.\pipe`."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(
            f"{_quoted(source)} is a network or device path; copy the picture to a local folder and give that path."
        )


class ImageDeviceName(ImageError):
    """A name that Windows gives to a device, such as `CON` or `NUL.png`; refused everywhere."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"{_quoted(source)} is the name of a device on Windows; rename the file.")


class ImageOutsideRoots(ImageError):
    """The path, with all links followed, is in none of the allowed folders."""

    def __init__(self, source: str, roots: Sequence[Path]) -> None:
        self.source = source
        self.roots = tuple(roots)
        allowed = ", ".join(repr(str(root)) for root in roots) or "none"
        super().__init__(
            f"{_quoted(source)} is outside the allowed folders ({allowed}); "
            "move the picture into one of them, or allow its folder with --root DIR."
        )


class ImageNotFound(ImageError):
    """No such file; `suggestions` are names of pictures in the same folder."""

    def __init__(self, source: str, suggestions: Sequence[str]) -> None:
        self.source = source
        self.suggestions = tuple(suggestions)
        names = " or ".join(_quoted(name) for name in suggestions)
        advice = f"did you mean {names}?" if names else "check the name, or give the full path."
        super().__init__(f"There is no file {_quoted(source)}; {advice}")


class ImageRootMissing(ImageNotFound):
    """No such file, because the allowed folder in which it should be is no folder itself."""

    def __init__(self, source: str, root: Path) -> None:
        self.source = source
        self.suggestions = ()
        self.root = root
        ImageError.__init__(
            self,
            f"{_quoted(source)} cannot be found: the allowed folder {str(root)!r} does not exist; "
            "create it, or allow another with --root DIR.",
        )


class ImageNotAFile(ImageError):
    """A folder, a pipe, a socket or a device where a file is wanted; `kind` says which."""

    def __init__(self, source: str, kind: str) -> None:
        self.source = source
        self.kind = kind
        super().__init__(f"{_quoted(source)} is a {kind}; give the path of a picture file.")


class ImageNotReadable(ImageError):
    """The operating system refuses to open or read the file; `reason` is its own text."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{_quoted(source)} cannot be read ({reason}); check its name and its permissions.")


class ImageMoved(ImageError):
    """The path became a symbolic link between the check and the opening."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"The path of {_quoted(source)} changed while it was opened; try again when it is at rest.")


class ImageFileEmpty(ImageError):
    """There is not one byte in the file or the data: URL."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"{_quoted(source)} is empty; export or copy the picture again.")


class ImageFileTooLarge(ImageError):
    """More bytes than `limit`."""

    def __init__(self, source: str, limit: int) -> None:
        self.source = source
        self.limit = limit
        super().__init__(f"{_quoted(source)} has more than {limit:,} bytes; save it smaller, or as JPEG.")


class ImageTooManyPixels(ImageError):
    """More pixels than `limit`, or than memory holds; `size` is (width, height), None where it was not learnt."""

    def __init__(self, source: str, limit: int, size: tuple[int, int] | None = None) -> None:
        self.source = source
        self.limit = limit
        self.size = size
        described = f"is {size[0]:,} x {size[1]:,} pixels" if size else "is too large to decode"
        super().__init__(f"{_quoted(source)} {described}, where {limit:,} pixels are allowed; scale it down.")


class ImageTooManyFrames(ImageError):
    """More animation frames than `limit`; nobody counted further."""

    def __init__(self, source: str, limit: int) -> None:
        self.source = source
        self.limit = limit
        super().__init__(
            f"{_quoted(source)} has more than {limit:,} frames; save the frame that matters as a picture of its own."
        )


class ImageTooManyScans(ImageError):
    """A progressive JPEG of more passes than `limit`, which would take hours to decode."""

    def __init__(self, source: str, limit: int) -> None:
        self.source = source
        self.limit = limit
        super().__init__(f"{_quoted(source)} is a JPEG of more than {limit:,} scans; save it again as PNG.")


class ImageFormatRefused(ImageError):
    """Not a picture, or in a format that is not opened."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(
            f"{_quoted(source)} holds no PNG, JPEG, WebP, GIF or BMP picture, whatever its name says; "
            "convert it to PNG."
        )


class ImageDamaged(ImageError):
    """A picture whose bytes are cut off or wrong."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(f"{_quoted(source)} is a damaged or truncated picture; export or copy it again.")


class ImageDataUrlTooLong(ImageError):
    """A data: URL of more than `limit` characters."""

    def __init__(self, chars: int, limit: int) -> None:
        self.chars = chars
        self.limit = limit
        super().__init__(
            f"The data: URL has {chars:,} characters, where {limit:,} are allowed; "
            "save the picture as a file and give its path."
        )


class ImageDataUrlInvalid(ImageError):
    """A data: URL that is not a picture in base64; `problem` says what is wrong."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The data: URL {problem}; write it as 'data:image/png;base64,...'.")

"""What can go wrong with pictures and models, named for what the caller can do about it.

Messages are one sentence that ends with what to do; the values are attributes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from common.errors import CodedError, LorgnetteError


class ModelError(LorgnetteError):
    """The model cannot do what was asked of it."""


class Cancelled(ModelError):
    """The caller cancelled the call."""

    def __init__(self) -> None:
        super().__init__("The call was cancelled; ask again if the answer is still wanted.")


class ImageError(CodedError):
    """A picture cannot be used; `code` says why, `source` which, and the other values what was found.

    Callers only pass the sentence on, so there is one class; what has more to say than its values has a constructor.
    """

    SENTENCES: ClassVar[dict[str, str]] = {
        "image_source_empty": "The name of the picture is empty; give a path or a data: URL.",
        "image_name_has_nul": "The picture name {source} holds a NUL character; remove it.",
        "image_file_url": "{source} is a file: address of another machine; copy the picture here and give its path.",
        "image_drawn_gone": "There is no picture {source} any more; ask again about the picture itself.",
        "image_part_unreadable": "The part {part!r} of {source} cannot be read; write #xywh=X,Y,WIDTH,HEIGHT (pixels, "
        "or percent:X,Y,WIDTH,HEIGHT), #page=3 or #page=2-5, #t=10 or #t=10,20 (seconds).",
        "image_part_missing": "{source} is {kind}, which has no part {part}; name another part, or none.",
        "image_region_outside": "The region {region} lies outside of {source}, which is {width} x {height} pixels; "
        "give one inside it.",
        "image_page_missing": "There is no page {page} in {source}, which has {count}; name another.",
        "image_page_damaged": "Page {page} of {source} cannot be drawn; name another, or save the document again.",
        "image_pdf_locked": "{source} is protected by a password; save a copy without one.",
        "image_film_without_pictures": "{source} holds sound and no pictures; give a film or a picture.",
        "image_film_damaged": "{source} is a film that cannot be decoded; convert it to MP4 (H.264), or save a "
        "frame as a picture.",
        "image_web_address": "{source} is an address ({scheme!r}) and pictures are never fetched; download it and give "
        "the path of the file.",
        "image_network_path": "{source} is a network or device path; copy the picture to a local folder and give that "
        "path.",
        "image_device_name": "{source} is the name of a device on Windows; rename the file.",
        "image_outside_roots": "{source} is outside the allowed folders ({allowed}); move the picture into one of "
        "them, or allow its folder with --root DIR.",
        "image_not_found": "There is no file {source}; {advice}",
        "image_root_missing": "{source} cannot be found: the allowed folder {root!r} does not exist; create it, or "
        "allow another with --root DIR.",
        "image_not_a_file": "{source} is a {kind}; give the path of a picture file.",
        "image_not_readable": "{source} cannot be read ({reason}); check its name and its permissions.",
        "image_moved": "The path of {source} changed while it was opened; try again when it is at rest.",
        "image_file_empty": "{source} is empty; export or copy the picture again.",
        "image_file_too_large": "{source} has more than {limit:,} bytes; save it smaller, or as JPEG.",
        "image_too_many_pixels": "{source} {described}, where {limit:,} pixels are allowed; scale it down.",
        "image_too_many_frames": "{source} has more than {limit:,} frames; save the frame that matters as a picture of "
        "its own.",
        "image_too_many_scans": "{source} is a JPEG of more than {limit:,} scans; save it again as PNG.",
        "image_format_refused": "{source} holds no picture of a known format (PNG, JPEG, WebP, GIF, BMP, TIFF, "
        "HEIC, AVIF, ICO, JPEG 2000, PPM), no PDF and no film, whatever its name says; convert it to PNG.",
        "image_is_svg": "{source} is a drawing in SVG, which only browsers draw; export it as PNG and give that.",
        "image_damaged": "{source} is a damaged or truncated picture; export or copy it again.",
        "image_data_url_too_long": "The data: URL has {chars:,} characters, where {limit:,} are allowed; save the "
        "picture as a file and give its path.",
        "image_data_url_invalid": "The data: URL {problem}; write it as 'data:image/png;base64,...'.",
        "picture_too_thin": "A picture of {width} x {height} pixels is too thin for the model, which takes sides of at "
        "most {limit} to 1; cut it into pieces.",
    }

    def shown(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values as the sentence has them: a long source without its middle."""
        return {**values, "source": _quoted(values["source"])} if "source" in values else values

    @classmethod
    def outside_roots(cls, source: str, roots: Sequence[Path]) -> "ImageError":
        """Return that the path, with all links followed, is in none of the allowed folders."""
        allowed = ", ".join(repr(str(root)) for root in roots) or "none"
        return cls("image_outside_roots", source=source, roots=tuple(roots), allowed=allowed)

    @classmethod
    def not_found(cls, source: str, suggestions: Sequence[str], differences: Sequence[str] = ()) -> "ImageError":
        """Return that there is no such file.

        Args:
            source: As the caller named it.
            suggestions: Names of pictures in the same folder.
            differences: What tells each of them from the name, in words; empty where one sees it.
        """
        told = [*differences, *[""] * (len(suggestions) - len(differences))]
        names = " or ".join(
            f"{_quoted(name)} ({difference})" if difference else _quoted(name)
            for name, difference in zip(suggestions, told, strict=True)
        )
        advice = f"did you mean {names}?" if names else "check the name, or give the full path."
        return cls("image_not_found", source=source, suggestions=tuple(suggestions), advice=advice)

    @classmethod
    def too_many_pixels(cls, source: str, limit: int, size: tuple[int, int] | None = None) -> "ImageError":
        """Return that there are more pixels than `limit`; `size` is (width, height), None if it was not learnt."""
        described = f"is {size[0]:,} x {size[1]:,} pixels" if size else "is too large to decode"
        return cls("image_too_many_pixels", source=source, limit=limit, size=size, described=described)


def _quoted(source: str) -> str:
    """Return `source` as Python would write it, without its middle if it is long."""
    return repr(source if len(source) <= 160 else f"{source[:100]}...{source[-50:]}")

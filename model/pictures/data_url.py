"""Reads `data:` URLs as people and programs write them: the one place where one is decoded."""

import base64
import re
from urllib.parse import unquote_to_bytes

from model.errors import ImageError
from model.pictures.limits import ImageLimits

_HEADER = re.compile(
    r"data:((?:image|video|application|binary)/[a-z0-9.+-]{1,100})?(?:;[^;,]{1,60}){0,8};base64", re.IGNORECASE
)


def is_data_url(source: str) -> bool:
    """Return whether it begins like one."""
    return source.lstrip()[:5].lower() == "data:"


def read_data_url(url: str, limits: ImageLimits) -> tuple[str, bytes]:
    """Return the MIME type and the bytes of a data: URL.

    Blanks, line ends, percent escapes, url-safe base64 and missing padding do no harm; what the bytes are, the bytes
    say, so that `application/octet-stream` will do.

    Raises:
        ImageError: It is too long, of text, or its base64 cannot be read.
    """
    if len(url) > limits.url_chars:
        raise ImageError("image_data_url_too_long", chars=len(url), limit=limits.url_chars)
    head, comma, payload = url.partition(",")
    header = _HEADER.fullmatch("".join(head.split()))
    if not comma or not header:
        raise ImageError("image_data_url_invalid", problem="is not an image/* or video/* type in base64")
    try:
        encoded = b"".join(unquote_to_bytes(payload.encode("ascii")).split()).rstrip(b"=")
        encoded = encoded.translate(bytes.maketrans(b"-_", b"+/"))
        data = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # also binascii.Error and UnicodeEncodeError
        raise ImageError("image_data_url_invalid", problem="does not hold valid base64 after its comma") from None
    mime = (header[1] or "application/octet-stream").lower()
    if len(data) > limits.bytes:
        raise ImageError("image_file_too_large", source=f"data:{mime}", limit=limits.bytes)
    return mime, data

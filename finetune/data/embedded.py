"""Pictures that a row holds itself, as bytes or a data: URL, and the files that they become. It looks into none.

Hugging Face's data sets in Parquet hold `{bytes, path}`; some have a column of plain bytes.
"""

import base64
import binascii
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from finetune.data.unusable import Unusable

FOLDER = "pictures"


def embedded(value: object) -> bytes | None:
    """Return the bytes of a picture that stands in the row; None where the row names a file.

    Raises:
        Unusable: A data: URL that is none.
    """
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str) and value[:5].lower() == "data:":
        return _of_data_url(value)
    return None


def folder_for(file: Path) -> Path:
    """Return where the pictures of a data file are kept: beside it, or in the user's cache where that is read-only."""
    if os.access(file.parent, os.W_OK):
        return file.parent / FOLDER
    from platformdirs import user_cache_path

    return user_cache_path("lorgnette") / FOLDER


def _of_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise Unusable("a data: URL without a comma")
    data = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return data
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        raise Unusable("a data: URL whose base64 is damaged") from None

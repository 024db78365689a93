"""`lorgnette ask --clipboard` and `--screenshot`: what is on the clipboard or the screen, as one more picture."""

import base64
import io
import sys
from typing import TYPE_CHECKING

from common.errors import LorgnetteError

if TYPE_CHECKING:
    from PIL import Image


class NothingGrabbed(LorgnetteError):
    """There is no picture to be had from there; the text says why and what to do."""


def from_clipboard() -> str:
    """Return the clipboard's picture as a data: URL, or the path of the picture file that was copied.

    Raises:
        NothingGrabbed: It holds none, or the system does not give it.
    """
    from PIL import Image as Images
    from PIL import ImageGrab

    try:
        found = ImageGrab.grabclipboard()
    except (NotImplementedError, OSError) as error:
        raise NothingGrabbed(
            f"The clipboard cannot be read ({_reason(error)}); on Linux install wl-clipboard or xclip, "
            "or save the picture and give its path."
        ) from error
    if isinstance(found, list) and found:  # files that were copied
        return str(found[0])
    if not isinstance(found, Images.Image):
        raise NothingGrabbed("There is no picture on the clipboard; copy one, or give the path of a file.")
    return _data_url(found)


def from_screen() -> str:
    """Return what the screen shows as a data: URL.

    Raises:
        NothingGrabbed: The system does not give it.
    """
    from PIL import ImageGrab

    try:
        return _data_url(ImageGrab.grab())
    except (NotImplementedError, OSError) as error:
        needs = "allow the terminal to record the screen" if sys.platform == "darwin" else "run it inside a desktop"
        raise NothingGrabbed(
            f"The screen cannot be read ({_reason(error)}); {needs}, or save a screenshot and give its path."
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _data_url(image: "Image.Image") -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"

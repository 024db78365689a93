"""Which of a draft's words may be shown while it is written: boxes as a model writes them are for programs.

The answer says them in words. Whether a draft begins with them shows after some characters, so those are waited for.
"""

import re

from model.pictures.box_forms import KEYS, POINT_KEYS, YX_KEY

_DATA = re.compile(r"(?:[\[{]|`{1,3}$|```(?:j|js|jso)?$|```json)", re.IGNORECASE)
_BOXES = re.compile(rf"[\"'](?:{'|'.join((*KEYS, YX_KEY, *POINT_KEYS))})[\"']", re.IGNORECASE)
_UNSEEN = " \t\r\n\ufeff\u200b"
WAITED_FOR = 80
"""Characters after which data that names no box is shown, such as JSON that was asked for, or a number in brackets."""


class Spoken:
    """Holds a draft back as long as it may begin with boxes."""

    def __init__(self) -> None:
        self._held = ""
        self._is_words = False

    def add(self, text: str) -> str:
        """Return what may now be shown: nothing yet, all that was held back, or these words."""
        if self._is_words:
            return text
        self._held += text
        said = self._held.strip(_UNSEEN)
        if not said or (_DATA.match(said) and (len(said) < WAITED_FOR or _BOXES.search(said))):
            return ""
        self._is_words = True
        return self._held

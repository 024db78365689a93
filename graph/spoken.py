"""Which of a draft's words may be shown while it is written: boxes as a model writes them are for programs.

The answer says them in words. Whether a draft begins with them shows after a few characters, so those are waited for.
"""

import re

_DATA = re.compile(r"\s*(?:[\[{]|`{1,3}$|```(?:j|js|jso)?$|```json)")


class Spoken:
    """Holds a draft back as long as it may be data for programs."""

    def __init__(self) -> None:
        self._held = ""
        self._is_words = False

    def add(self, text: str) -> str:
        """Return what may now be shown: nothing yet, all that was held back, or these words."""
        if self._is_words:
            return text
        self._held += text
        if not self._held.strip() or _DATA.match(self._held):
            return ""
        self._is_words = True
        return self._held

"""Text that cannot steer what shows it: no control codes, nothing invisible. It knows no markup."""

import re

# ECMA-48 control sequences (CSI, and OSC up to its end), then single controls but for tab and line end.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-_]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Zero-width signs, marks and overrides of direction (UAX 9), invisible operators, and tags (TR 51), which hide words.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def printable(text: str) -> str:
    """Return the text without what could move a cursor, turn its direction, or not be seen."""
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _INVISIBLE.sub("", _CONTROLS.sub("", text))

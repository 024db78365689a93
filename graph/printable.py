"""Text that cannot steer what shows it: no control codes, nothing invisible. It knows no markup."""

import re

# ECMA-48 control sequences (CSI, and OSC with its end, or a stray one would take the text behind it along), then single
# controls but for tab and line end.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)|\x1b[@-_]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Zero-width signs, marks and overrides of direction (UAX 9), invisible operators, fillers, and what hides words after
# other characters: variation selectors and tags (TR 51).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029]")


def printable(text: str) -> str:
    """Return the text without what could move a cursor, turn its direction, or not be seen."""
    text = _SEQUENCES.sub("", _LINE_ENDS.sub("\n", text))
    return _INVISIBLE.sub("", _CONTROLS.sub("", text))

"""Text made safe for where it goes: a terminal, one line, a table, a store of Unicode. It knows no markup."""

import re
import unicodedata

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


def one_line(text: str) -> str:
    """Return a text that must not begin a line of its own."""
    return " ".join(printable(text).splitlines())


def escaped(text: str) -> str:
    """Write text that must stay on one line, such as a file's name: control codes and foreign bytes as in Python."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escape(c) for c in text)


def shortened(text: str, limit: int) -> str:
    """Return the text with single blanks between its words, cut to `limit` characters with an ellipsis."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_line(error: BaseException) -> str:
    """Return what a library's message says first, without its full stop; the error's name if it says nothing.

    The next line comes along if the first only announces it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return (" ".join(lines[:2]) if lines[0].endswith(":") else lines[0]).rstrip(".")


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of `first_line`."""
    return first_line(error).partition(". ")[0]


def storable(text: str) -> str:
    """Return a text that JSON and databases can carry, whose surrogates are escaped.

    Names hold bytes of another encoding as surrogates; one that stands for no byte is escaped as well.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def _escape(char: str) -> str:
    # A byte of another encoding, as Python has it in a name.
    byte = ord(char) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode()

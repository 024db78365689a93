"""Draws a picture among a terminal's text, in terminals that say that they can. It asks none: a question may hang.

Sources: the graphics protocol of kitty (sw.kovidgoyal.net/kitty/graphics-protocol, "Remote client", control data a, f,
q, c, m) and the inline images of iTerm2 (iterm2.com/documentation-images.html). Under tmux and screen, which pass
neither on, there is none. Over SSH it works where the terminal's name comes along (`TERM`).
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TextIO

Protocol = Literal["kitty", "iterm"]
MOST_COLUMNS = 100
PIXELS_OF_A_COLUMN = 8
"""Of a small cell: a picture is not drawn larger than it is."""
_CHUNK = 4_096
_PROGRAMS: dict[str, Protocol] = {"ghostty": "kitty", "iterm.app": "iterm", "wezterm": "iterm"}
_TERMS: dict[str, Protocol] = {"xterm-kitty": "kitty", "xterm-ghostty": "kitty"}


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """Return how the terminal of these variables draws pictures; None where it does not say that it can."""
    term = environment.get("TERM", "")
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("screen", "tmux", "dumb")):
        return None
    program = environment.get("TERM_PROGRAM", "").lower()
    named = _TERMS.get(term) or _PROGRAMS.get(program)
    # Another terminal that was started from kitty inherits its window's number.
    return named or ("kitty" if environment.get("KITTY_WINDOW_ID") and program in ("", "kitty") else None)


def drawing(png: bytes, protocol: Protocol, columns: int) -> str:
    """Return what makes a terminal draw a PNG at the cursor, so many cells wide and as high as it then is."""
    text = base64.b64encode(png).decode("ascii")
    if protocol == "iterm":
        return f"\x1b]1337;File=inline=1;size={len(png)};width={columns};preserveAspectRatio=1:{text}\x07\n"
    parts = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    written = []
    for number, part in enumerate(parts):
        # q=2: the terminal is not to answer, which would stand in the next command line.
        head = f"a=T,f=100,q=2,c={columns}," if number == 0 else ""
        written.append(f"\x1b_G{head}m={int(number + 1 < len(parts))};{part}\x1b\\")
    return f"{''.join(written)}\n"


def draw_inline(path: Path, terminal: TextIO, environment: Mapping[str, str]) -> bool:
    """Draw a PNG in a terminal, and return whether that could be done.

    Args:
        path: Of the picture.
        terminal: Where the text goes; a file or a pipe gets nothing.
        environment: The variables of the process.
    """
    from shutil import get_terminal_size

    from PIL import Image

    protocol = protocol_of(environment)
    if protocol is None or not terminal.isatty():
        return False
    with Image.open(path, formats=("PNG",)) as picture:
        own = max(1, picture.width // PIXELS_OF_A_COLUMN)
    columns = min(own, MOST_COLUMNS, max(1, get_terminal_size().columns))
    terminal.write(drawing(path.read_bytes(), protocol, columns))
    terminal.flush()
    return True

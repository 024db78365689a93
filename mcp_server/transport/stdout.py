"""stdout for the protocol alone: taken before anything else is imported, so that no library can write into it.

It imports nothing that could print, and knows nothing of the protocol.
"""

import contextlib
import os
import sys
from typing import BinaryIO

STDIN, STDOUT, STDERR = 0, 1, 2


def take_stdout() -> BinaryIO:
    """Return stdout; whatever this process writes to it in any other way from now on goes to stderr.

    That holds until the process ends: what a library keeps in a buffer is written at the very end.
    """
    _open_missing()
    if not _is_stdout(sys.stdout):
        return sys.stdout.buffer  # a test's
    sys.stdout.flush()
    wire = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    return os.fdopen(wire, "wb")


def _open_missing() -> None:
    """Open what the parent left closed; the next file would get its number, and be written to as stdout or stderr."""
    for number in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(STDOUT, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _is_stdout(stream: object) -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return stream.fileno() == STDOUT  # type: ignore[attr-defined]
    return False

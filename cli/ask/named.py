"""What the words behind `lorgnette ask` name: a question and pictures, or pictures alone."""

import os
from collections.abc import Sequence
from pathlib import Path

from lorgnette.settings import Settings
from model.pictures.open import SUFFIXES

DESCRIBE = "Describe the picture."
"""What is asked about pictures where the user asks nothing."""


def question_and_pictures(
    words: Sequence[str], *, clipboard: bool = False, screenshot: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the question and the pictures' names: the first word is the question, unless it is a picture itself.

    Args:
        words: As the user wrote them.
        clipboard: Whether the picture on the clipboard is meant, too.
        screenshot: Whether what the screen shows is meant, too.

    Raises:
        NothingGrabbed: There is no picture on the clipboard, or the screen cannot be read.
    """
    from cli.ask.grabbed import from_clipboard, from_screen

    grabbed = [*([from_clipboard()] if clipboard else []), *([from_screen()] if screenshot else [])]
    if words and not is_picture(words[0]):
        return words[0], (*words[1:], *grabbed)
    pictures = (*words, *grabbed)
    return (DESCRIBE if pictures else ""), pictures


def is_picture(word: str) -> bool:
    """Return whether a word names a picture: a file of that kind, whether or not it is there, or a data: URL."""
    path = Path(os.path.expanduser(word))
    named = path.suffix.lower() in SUFFIXES and (" " not in word.strip() or path.is_file())
    return named or _is_data(word)


def allowing(settings: Settings, pictures: Sequence[str]) -> Settings:
    """Return the settings under which these pictures may be read: who names a file at the prompt means that file.

    The folders that the settings allow are for clients of the server, whose words come from a model.
    """
    folders = [Path(os.path.realpath(os.path.expanduser(name))).parent for name in pictures if not _is_data(name)]
    return settings.model_copy(update={"roots": tuple(dict.fromkeys((*settings.roots, *folders)))})


def _is_data(word: str) -> bool:
    return word.lstrip()[:5].lower() == "data:"

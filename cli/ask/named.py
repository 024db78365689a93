"""What the words behind `lorgnette ask` name: a question and pictures, or pictures alone."""

import os
from collections.abc import Sequence
from pathlib import Path

from lorgnette.settings import Settings
from model.errors import ImageError
from model.pictures.data_url import is_data_url
from model.pictures.drawn import PREFIX
from model.pictures.files import LOOKED_AT, path_of
from model.pictures.source import split_source, tidied

DESCRIBE = "Describe the picture."
"""What is asked about pictures where the user asks nothing."""


def question_and_pictures(
    words: Sequence[str], *, clipboard: bool = False, screenshot: bool = False, alone: str = DESCRIBE
) -> tuple[str, tuple[str, ...]]:
    """Return the question and the pictures' names: the first word is the question, unless it is a picture itself.

    Args:
        words: As the user wrote them.
        clipboard: Whether the picture on the clipboard is meant, too.
        screenshot: Whether what the screen shows is meant, too.
        alone: What is asked about pictures that come without a question.

    Raises:
        NothingGrabbed: There is no picture on the clipboard, or the screen cannot be read.
    """
    from cli.ask.grabbed import from_clipboard, from_screen

    grabbed = [*([from_clipboard()] if clipboard else []), *([from_screen()] if screenshot else [])]
    if words and not is_picture(words[0]):
        return words[0], (*words[1:], *grabbed)
    pictures = (*words, *grabbed)
    return (alone if pictures else ""), pictures


def is_picture(word: str) -> bool:
    """Return whether a word names something to look at: a file of that kind, whether or not it is there, or an address.

    A picture, a film or a document, and a part of one.
    """
    if is_data_url(word) or word.lower().startswith((PREFIX, "file:")):
        return True
    path = _path(word)
    return path.suffix.lower() in LOOKED_AT and (not any(map(str.isspace, path.name)) or path.is_file())


def allowing(settings: Settings, pictures: Sequence[str]) -> Settings:
    """Return the settings under which these pictures may be read: who names a file at the prompt means that file.

    The folders that the settings allow are for clients of the server, whose words come from a model.
    """
    folders = [Path(os.path.realpath(_path(name))).parent for name in pictures if not is_data_url(name)]
    return settings.model_copy(update={"roots": tuple(dict.fromkeys((*settings.roots, *folders)))})


def _path(word: str) -> Path:
    """Return the path that a word names, without the part behind it."""
    try:
        word = split_source(word)[0]
    except ImageError:  # it is told when it is opened
        word = word.rpartition("#")[0]
    return Path(os.path.expanduser(path_of(tidied(word), word)))

"""What is so on this machine whatever is asked, said under the first answer that it concerns and not again."""

from contextlib import suppress
from pathlib import Path

from graph.answer import Answer
from lorgnette.people_text import standing

FILE = "told.txt"


def to_be_told(answer: Answer, home: Path) -> list[str]:
    """Return the standing notes that were not said yet, and remember them; a folder that is closed forgets."""
    file = home / FILE
    known: list[str] = []
    with suppress(OSError, UnicodeError):
        known = file.read_text("utf-8").splitlines()
    new = [note for note in standing(answer) if note not in known]
    if new:
        with suppress(OSError):
            home.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as told:
                told.writelines(f"{note}\n" for note in new)
    return new

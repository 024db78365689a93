"""How far something is, on stderr: a bar that moves where somebody watches, else a line now and then for a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from common.safe_text import escaped

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_S = 15.0  # between two lines in a log


class Counted:
    """Tells how far something is that says itself what it does, how much of it is done, and of how much."""

    def __init__(self, progress: "Progress", what: str, every_s: float) -> None:
        self._progress, self._every_s, self._said_at = progress, every_s, time.monotonic()
        self._task = progress.add_task(escaped(what), total=None)
        self._line = escaped(what)

    def told(self, what: str, done: int, total: int) -> None:
        """Take note of how far it is; `total` is 0 where nobody knows."""
        self._line = f"{escaped(what)}: {done} of {total}" if total else escaped(what)
        self._progress.update(self._task, description=escaped(what), completed=done, total=total or None)

    def tick(self) -> None:
        """Say it in a line where there is no bar, if it is time; to be called again and again."""
        if self._progress.disable and time.monotonic() - self._said_at >= self._every_s:
            self._said_at = time.monotonic()
            click.echo(self._line, err=True)


@contextmanager
def counted(what: str, *, every_s: float = LINE_S) -> Iterator[Counted]:
    """Show a bar on stderr while the body lasts, and lines where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Counted(progress, what, every_s)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr and yield what moves it; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done: progress.update(task, completed=done)

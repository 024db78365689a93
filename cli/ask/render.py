"""An answer on the terminal: words to stdout as they come, a status line on stderr, then what it rests on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from common.safe_text import printable
from graph.answer import Answer, Event
from lorgnette.answer_text import DOING
from lorgnette.people_text import for_people, in_language

if TYPE_CHECKING:
    from rich.status import Status


class StatusLine:
    """A line on stderr that says what is being done; nothing where stderr is no terminal."""

    def __init__(self, status: "Status | None") -> None:
        self._status = status

    def say(self, text: str) -> None:
        """Show the text, on a line of its own."""
        if self._status is not None:
            self._status.update(printable(text))
            self._status.start()

    def hide(self) -> None:
        """Make room for words on stdout, which shares the terminal."""
        if self._status is not None:
            self._status.stop()


@contextmanager
def status_line() -> Iterator[StatusLine]:
    """Show a status line while the body runs."""
    from rich.console import Console

    console = Console(stderr=True)
    line = StatusLine(console.status("Starting") if console.is_terminal else None)
    line.say("Starting")
    try:
        yield line
    finally:
        line.hide()


class Transcript:
    """Prints drafts as they are written, and in the end what else the answer holds."""

    def __init__(self, line: StatusLine) -> None:
        self._line = line
        self._draft = ""  # what the present node has printed
        self._drafts = 0
        self._reviewed = False  # whether a reviewer ran since the last draft

    def show(self, event: Event) -> None:
        """Show one piece of news."""
        if event.kind == "text":
            self._write(printable(event.text))
            return
        if event.kind == "thinking":
            self._line.say("Thinking …")
            return
        if self._draft and not self._draft.endswith("\n"):
            click.echo()
            self._draft += "\n"
        if event.kind == "withdrawn" and self._draft:
            click.echo("(That was the model thinking aloud; its answer follows.)")
            self._draft, self._drafts = "", self._drafts - 1
        if event.kind == "start":
            self._reviewed = self._reviewed or event.node == "reviewer"
            self._line.say(DOING.get(event.node, event.node).capitalize() + " …")
            if event.node == "responder":
                self._draft = ""

    def _write(self, text: str) -> None:
        if not text:
            return
        if not self._draft:
            self._line.hide()
            if self._drafts:
                click.echo("\nThe review asked for a new answer:" if self._reviewed else "\nAnother draft:")
            self._drafts, self._reviewed = self._drafts + 1, False
        self._draft += text
        click.echo(text, nl=False)

    def finish(self, answer: Answer, question: str, standing: Sequence[str] = ()) -> None:
        """Print the answer, unless its very words stand there already, what it rests on, and the standing notes."""
        self._line.hide()
        words = printable(answer.answer)
        if self._draft and not self._draft.endswith("\n"):
            click.echo()
        if self._draft.strip() != words.strip():
            if self._drafts:
                click.echo("\nThe final answer:")
            click.echo(words)
        lines = [*for_people(answer, question), *in_language(standing, question)]
        if lines:
            click.echo()
        for text in lines:
            click.echo(text)

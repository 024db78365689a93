"""`lorgnette ask --batch`: many questions with one model, each answer in the file as soon as it is there."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge import FAILED, Run
from common.safe_text import printable
from graph.answer import Answer
from graph.question import Question
from lorgnette.background import Background
from lorgnette.batch.errors import BatchError
from lorgnette.batch.output import BatchOutput
from lorgnette.batch.review import check_review, write_review
from lorgnette.batch.rows import BadRow, Row, count_others, read_rows
from lorgnette.batch.table import Document, documents_of, write_table
from lorgnette.batch.work import ask_rows
from lorgnette.local_agent import LocalAgent
from lorgnette.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress

LINES = 100  # of progress at most, where there is no terminal; failures are told beside them
News = str | tuple[Row, Answer | Exception]


def ask_batch(
    run: Run,
    settings: Settings,
    source: Path,
    out: Path,
    default: Question,
    *,
    retry_failed: bool,
    table: Path | None = None,
) -> None:
    """Ask every row that has no line in the output yet; exit code 1 where the output holds a row that failed.

    Args:
        run: Who loads the agent.
        settings: For all rows. Rows that name no session leave none behind.
        source: The file of the questions, or a folder of pictures.
        out: The file of the answers, which may hold those of an earlier run.
        default: What holds where a row says nothing.
        retry_failed: Whether rows that failed before are asked again.
        table: Where the fields go as CSV, with a page to review them beside it; made anew from the answers each time.

    Raises:
        LorgnetteError: The source, the output, or the model; the answers so far stand in the output.
    """
    if os.path.realpath(source) == os.path.realpath(out):
        raise BatchError("batch_output_is_input", path=str(out))
    review = table.with_suffix(".html") if table is not None else None
    if review is not None:
        check_review(review)
    rows = read_rows(source, default)
    if all(isinstance(row, BadRow) or row.question.session_id is None for row in rows):
        settings = settings.model_copy(update={"sessions": "none"})
    with BatchOutput(out, retry_failed=retry_failed) as output:
        left = [row for row in rows if not output.has(row.id)]
        with _progress(len(rows), len(rows) - len(left)) as progress:
            try:
                for bad in left:
                    if isinstance(bad, BadRow):
                        output.write_error(bad, bad.error)
                        progress.failed(bad.id, bad.error)
                _ask(run, settings, [row for row in left if isinstance(row, Row)], output, progress)
            except BaseException:
                if table is not None:
                    write_table(table, documents_of(rows, out), default.fields)
                progress.say(f"{progress.done} of {len(rows)} rows are in {out}; the same command again goes on there.")
                raise
        if table is not None and review is not None:
            _write_fields(table, review, documents_of(rows, out), settings, default)
            _tell_others(source, default, (table, review, out))
        failed = f", {output.failed} of them failed (--retry-failed asks those again)" if output.failed else ""
        click.echo(printable(f"{progress.done} of {len(rows)} rows are in {out}{failed}."), err=True)
        if output.failed:
            click.get_current_context().exit(FAILED)


def _write_fields(table: Path, review: Path, documents: list[Document], settings: Settings, default: Question) -> None:
    write_table(table, documents, default.fields)
    write_review(review, documents, settings.roots)
    values, unproven = sum(len(one.values) for one in documents), sum(one.unproven for one in documents)
    click.echo(
        printable(f"{values} values are in {table}, {unproven} of them unproven; {review} shows them."), err=True
    )


def _tell_others(source: Path, default: Question, own: tuple[Path, ...]) -> None:
    if source.is_dir() and (others := count_others(source, default, own)):
        click.echo(printable(f"{others} files in {source} are neither pictures nor PDFs and were not asked."), err=True)


def _ask(run: Run, settings: Settings, rows: list[Row], output: BatchOutput, progress: "_Progress") -> None:
    def work(job: Background[News, None]) -> None:
        def loading(phase: str, share: float) -> None:
            job.tell(f"Loading {settings.model}: {phase} {share:.0%}")

        with LocalAgent(settings, open_agent=run.open_agent, progress=loading) as agent:
            for outcome in ask_rows(agent, rows, on_event=lambda event: job.tell(event.node), cancel=job.cancel):
                job.tell(outcome)

    with Background(work) as job:
        for news in job.follow():
            if isinstance(news, str):
                progress.doing(news)
                continue
            row, result = news
            if isinstance(result, Answer):
                output.write_answer(row, result)
                progress.step()
            else:
                output.write_error(row, result)
                progress.failed(row.id, result)
        job.result()


@contextmanager
def _progress(total: int, done: int) -> Iterator["_Progress"]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Progress(total, done)
        return
    columns = (
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(total, done, bar)


class _Progress:
    """How far it is, as plain lines."""

    def __init__(self, total: int, done: int) -> None:
        self.done, self._total, self._first, self._began = done, total, done, time.monotonic()

    def doing(self, what: str) -> None:
        """Say what is being done, where it can be taken back."""

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(printable(text), err=True)

    def step(self) -> None:
        """Count a row."""
        self.done += 1
        if self.done * LINES // self._total > (self.done - 1) * LINES // self._total:
            spent = time.monotonic() - self._began
            left = spent / (self.done - self._first) * (self._total - self.done)
            self.say(f"{self.done} of {self._total} rows, {_duration(left)} left")

    def failed(self, row_id: str | int, error: Exception) -> None:
        """Count a row that failed, and say why."""
        self.say(f"Row {row_id!r}: {error}")
        self.step()


class _Bar(_Progress):
    """How far it is, as a bar with the time left."""

    def __init__(self, total: int, done: int, bar: "Progress") -> None:
        super().__init__(total, done)
        self._bar, self._task = bar, bar.add_task("", total=total, completed=done)

    def doing(self, what: str) -> None:
        self._bar.update(self._task, description=printable(what))

    def say(self, text: str) -> None:
        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def step(self) -> None:
        self.done += 1
        self._bar.update(self._task, completed=self.done)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

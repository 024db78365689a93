"""What `lorgnette finetune evaluate` shows: how far it is, what was left out, and the table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from finetune.data.dataset import Broken
    from finetune.evaluation.answering import Watch
    from finetune.evaluation.outcome import Cell, Outcome

SHOWN_BROKEN = 10


@contextmanager
def shown_progress(out: Path) -> "Iterator[Watch]":
    """Show how far the evaluation is, and where it goes on after Ctrl-C."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("reading", total=None)
            shown = "reading"

            def watch(what: str, done: int, total: int) -> None:
                nonlocal shown
                if what != shown:  # the time that remains is of this step alone
                    bar.reset(task)
                    shown = what
                bar.update(task, description=what, completed=done, total=total)

            yield watch
    except KeyboardInterrupt:
        click.echo(f"What was answered is kept in {out}; the same command goes on from there.", err=True)
        raise


def say_broken(broken: "Sequence[Broken]", all_in: str = "results.json lists them all") -> None:
    """List the first rows that are left out, on stderr, and say where the others are."""
    from common.safe_text import printable

    for each in broken[:SHOWN_BROKEN]:
        click.echo(f"Left out: {printable(str(each))}", err=True)
    if len(broken) > SHOWN_BROKEN:
        click.echo(f"… and {len(broken) - SHOWN_BROKEN} more; {all_in}", err=True)


def print_table(outcome: "Outcome", out: Path) -> None:
    """Print what was measured, each category apart, and where the report is."""
    from common.safe_text import printable
    from finetune.evaluation.evaluate import REPORT

    for note in outcome.degraded:
        click.echo(f"Degraded: {printable(note)}", err=True)
    click.echo(f"{len(outcome.cases):,} rows measured, {len(outcome.broken):,} left out")
    for category, cells in outcome.table.items():
        if len(outcome.table) > 1:
            click.echo(printable(f"\n{category}, {outcome.rows_of(category):,} rows"))
        for measure in outcome.measures:
            if measure.name in cells:
                click.echo(_line(outcome, measure.title, cells[measure.name]))
    judge = outcome.judge
    if judge is not None:
        click.echo(f"\n{judge.name} marked {judge.marked:,} answers, and gave no mark for {judge.unreadable:,}")
    click.echo(f"\nReport: {out / REPORT}")


def _line(outcome: "Outcome", title: str, cell: "Cell") -> str:
    from finetune.evaluation.report import shown

    line = f"  {title:<13}"
    for name in outcome.names:
        line += f"{name} {shown(cell.of.get(name)):<23}"
    if outcome.compared is not None:
        line += f"difference {shown(cell.difference, sign=True)}"
    return line.rstrip()

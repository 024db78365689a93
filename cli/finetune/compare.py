"""`lorgnette finetune compare`: runs beside one another."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import verbose_option

if TYPE_CHECKING:
    from finetune.training.reporting.comparison import Comparison


@click.command("compare", short_help="Compare runs: what they were told, and what came of it.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUTPUT_DIR...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@verbose_option
def finetune_compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Compare the runs in these folders: the keys in which they differ, their losses, steps and time.

    \b
    Examples:
      lorgnette finetune compare runs/lora runs/moe
    """  # noqa: D301
    from finetune.training.reporting.comparison import compare

    if len(runs) < 2:
        raise click.UsageError("Give two runs or more.")
    found = compare([run.expanduser() for run in runs])
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    _print(found)


def _print(found: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    from common.safe_text import printable

    table = Table(show_edge=False)
    table.add_column("")
    for name in found.runs:
        table.add_column(printable(name), overflow="fold")
    for part in (found.told, found.outcome):
        for name, values in part.items():
            table.add_row(name, *(printable(_shown(value)) for value in values))
        table.add_section()
    Console().print(table)
    for note in found.notes:
        click.echo(f"Note: {printable(note)}", err=True)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.5g}" if isinstance(value, float) else str(value)

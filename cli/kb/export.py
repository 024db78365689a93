"""`lorgnette kb export`: write a knowledge base into another engine."""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import verbose_option
from cli.kb.command import stoppable
from cli.kb.options import kb_options, open_base
from cli.progress_bar import counted

if TYPE_CHECKING:
    from retrieval.index.export import ExportReport
    from retrieval.store import Store


def _read_store(_ctx: click.Context, _param: click.Parameter, value: str) -> "Store":
    from retrieval.store import EMBEDDED, parse_store

    try:
        store = parse_store(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if store == EMBEDDED:
        raise click.BadParameter("the embedded engine is always kept; give another one's address.")
    return store


@click.command(short_help="Write the knowledge base into another engine.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, metavar="URL", callback=_read_store, help="Address of the engine.")
@kb_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def export(folder: Path | None, target: "Store", as_json: bool, **options: Any) -> None:
    """Write the index of FOLDER (default: the setting kb) into the engine at URL; nothing is embedded anew.

    Run again, it goes on where it was stopped, and writes what is new.

    \b
    Examples:
      lorgnette kb export --to postgresql://me@server/notes ~/Papers
      lorgnette kb export --to milvus:///data/notes.db
      lorgnette kb export --to chroma+http://server:8000
    """  # noqa: D301
    if folder is not None:
        options["kb"] = folder
    from retrieval.index.export import export as write

    cancel = threading.Event()
    with open_base(options) as base, counted("comparing") as count:
        report: ExportReport = stoppable(
            lambda: write(base.catalogue, target, count.told, cancel), cancel, beat=count.tick
        )
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _print(report)
    if report.cancelled:
        raise KeyboardInterrupt


def _print(report: "ExportReport") -> None:
    click.echo(
        f"{report.written} passages written, {report.removed} removed, {report.held} held by {report.store}, "
        f"{report.dimension} dimensions of {report.embedder}, {report.seconds:.1f} s"
    )
    if report.without_vector:
        click.echo(f"{report.without_vector} passages have no vector yet and were left out; run lorgnette kb sync")
    if report.unread:
        click.echo(f"{report.unread} passages in languages that the embedder does not know are found by their words")
    if report.cancelled:
        click.echo("Stopped before the end; run it again to go on")
    else:
        click.echo(f"To search there, put into lorgnette.yaml:\nstore: {report.store}")

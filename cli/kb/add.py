"""`lorgnette kb add`: fetch one document from an address into the knowledge base, where the user allows network."""

import threading
from pathlib import Path
from typing import Any

import click

from cli.edge import FAILED, Run, verbose_option
from cli.kb.command import print_report, stoppable
from cli.kb.options import KB_SETTINGS, kb_options, open_base
from cli.progress_bar import counted


@click.command(short_help="Remember folders of documents, or fetch a document from an address.")
@click.argument("places", metavar="FOLDER...|URL", nargs=-1, required=True)
@click.option("--folder", default="web", metavar="FOLDER", help="Where to put it, in the knowledge base. Default: web.")
@click.option("--allow-network", "network", is_flag=True, default=None, help="Allow the network for this once.")
@kb_options
@verbose_option
@click.pass_obj
def add(run: Run, /, places: tuple[str, ...], folder: str, network: bool | None, **options: Any) -> None:
    """Remember each FOLDER and index it: search, ask and the server use them wherever they are started.

    \b
    Or fetch the document at URL (https only, public addresses only), keep it as a file, and index it.

    Adding the same address again replaces its file. Nothing is fetched unless the setting network is on.

    \b
    Examples:
      lorgnette kb add ~/Papers ~/Notes
      lorgnette kb add https://example.org/handbook.pdf --allow-network
    """  # noqa: D301
    folders = [place for place in places if "://" not in place]
    if folders:
        _remember(folders, options)
    for address in (place for place in places if "://" in place):
        _fetch(run, address, folder, network, options)


def _remember(folders: list[str], options: dict[str, Any]) -> None:
    from common.safe_text import escaped
    from retrieval.library import remember

    for folder in folders:
        options["kb"] = remember(Path(folder).expanduser())
    cancel = threading.Event()
    with open_base(options) as base, counted("looking") as count:
        report = stoppable(lambda: base.sync(count.told, cancel), cancel, beat=count.tick)
    print_report(report)
    if report.cancelled:
        raise KeyboardInterrupt
    click.echo(escaped(f"remembered: {', '.join(folders)}"))


def _fetch(run: Run, address: str, folder: str, network: bool | None, options: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from common.safe_text import escaped
    from lorgnette.settings import load_settings
    from retrieval.web.add import add_address
    from retrieval.web.fetch import INTERNET

    options["network"] = network
    settings = load_settings(**{key: options.get(key) for key in (*KB_SETTINGS, "network")})
    console = Console(stderr=True)
    cancel = threading.Event()
    with open_base(options) as base:
        with Progress(
            BarColumn(), DownloadColumn(), TextColumn("{task.description}", markup=False), console=console,
            transient=True, disable=not console.is_terminal,
        ) as bar:  # fmt: skip
            task = bar.add_task("fetching", total=None)
            source = add_address(
                address, settings, folder, run.internet or INTERNET,
                lambda received, total: bar.update(task, completed=received, total=total),
            )  # fmt: skip
        with counted("indexing") as count:
            report = stoppable(lambda: base.sync(count.told, cancel), cancel, beat=count.tick)
        skipped = {row.source: row.reason for row in base.catalogue.skipped()}
    if source in skipped:
        click.echo(escaped(f"Error: {source} was fetched but cannot be read: {skipped[source]}"), err=True)
        raise click.exceptions.Exit(FAILED)
    if report.cancelled:
        raise KeyboardInterrupt
    for note in report.degraded:
        click.echo(escaped(f"Degraded: {note}"), err=True)
    click.echo(escaped(source))

"""`lorgnette model`: what is on this machine, and downloads of what the user names."""

import click

from cli.edge import verbose_option

MIB = 1 << 20


@click.group(short_help="List and download models.")
@verbose_option
def model() -> None:
    """List the models on this machine, or download one.

    \b
    Example:
      lorgnette model pull Qwen/Qwen3-VL-2B-Instruct
    """  # noqa: D301


@model.command("list", short_help="List the models on this machine.")
def list_models() -> None:
    """List the bundled model and the downloaded ones; the first column is what --model takes."""
    from model.hub import list_local

    for found in list_local():
        state = "" if found.whole else f"  (incomplete; run: lorgnette model pull {found.model})"
        click.echo(f"{found.model:<40} {found.bytes / MIB:>9.1f} MiB  {found.folder}{state}")


@model.command("pull", short_help="Download a model.")
@click.argument("model_id", metavar="ID")
@verbose_option
def pull_model(model_id: str) -> None:
    """Download the model ID from Hugging Face, or from ModelScope as modelscope:ORG/NAME.

    A download that was broken off goes on where it stopped.

    \b
    Example:
      lorgnette model pull Qwen/Qwen3-VL-4B-Instruct
    """  # noqa: D301
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from model.hub import pull

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    console = Console(stderr=True)
    # where nobody watches, the bar would still write an empty line
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(model_id, total=None)
        folder = pull(model_id, lambda done, total: bar.update(task, completed=done, total=total or None))
    click.echo(str(folder))

"""`lorgnette model`: what is on this machine, and downloads of what the user names."""

import click

from cli.edge import verbose_option

MIB = 1 << 20


@click.group(short_help="List and download models.")
@verbose_option
def model() -> None:
    """List the models on this machine, download or convert one, or choose which one answers.

    \b
    Example:
      lorgnette model pull Qwen/Qwen3-VL-2B-Instruct
      lorgnette model use Qwen/Qwen3-VL-2B-Instruct
    """  # noqa: D301


@model.command("list", short_help="List the models on this machine.")
def list_models() -> None:
    """List the bundled model and the downloaded ones; the first column is what --model takes."""
    from model.hub import list_local

    for found in list_local():
        state = "" if found.whole else f"  (incomplete; run: lorgnette model pull {found.model})"
        click.echo(f"{found.model:<40} {found.bytes / MIB:>9.1f} MiB  {found.folder}{state}")


@model.command("use", short_help="Remember which model answers.")
@click.argument("model_id", metavar="NAME")
@verbose_option
def use_model(model_id: str) -> None:
    """Let NAME answer from now on: `tiny`, a downloaded hub id, a folder, or http(s)://host/v1#name.

    openvino: before a folder or an id takes a model that was converted for OpenVINO.

    It is written into your own lorgnette.yaml, for every folder; servers that run already keep theirs.

    \b
    Examples:
      lorgnette model use Qwen/Qwen3-VL-2B-Instruct
      lorgnette model use http://localhost:11434/v1#qwen3-vl:4b
    """  # noqa: D301
    from lorgnette.model_choice import choose_model

    chosen = choose_model(model_id)
    click.echo(f"{chosen.model} answers from now on, by {chosen.file}")
    if chosen.stronger is not None:
        click.echo(f"Here it does not: {chosen.stronger} names another model and wins.", err=True)


@model.command("convert", short_help="Convert a model for OpenVINO, which is faster on laptops.")
@click.argument("model_id", metavar="MODEL")
@click.argument("out", metavar="FOLDER")
@click.option(
    "--weights",
    type=click.Choice(("int4", "int8", "fp16", "fp32")),
    default="int8",
    show_default=True,
    help="Form of the weights: int4 is the fastest and the smallest, and loses most.",
)
@click.option("--adapter", metavar="DIR", help="Merge this adapter into the model first; it cannot be changed later.")
@verbose_option
def convert_model(model_id: str, out: str, weights: str, adapter: str | None) -> None:
    """Write MODEL into FOLDER as OpenVINO reads it; `--model openvino:FOLDER` then answers with it.

    The converter wants other packages than Lorgnette and gets an environment of its own, once, in the data folder;
    that needs the network. Answering needs `pip install 'lorgnette[openvino]'`.

    \b
    Examples:
      lorgnette model convert Qwen/Qwen3-VL-2B-Instruct ~/models/qwen-2b
      lorgnette ask --model openvino:~/models/qwen-2b "What is this?" photo.jpg
    """  # noqa: D301
    import contextlib
    import tempfile
    from pathlib import Path
    from typing import cast

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from common.home import data_home
    from model.hub import OPENVINO
    from model.openvino.convert import Weights, convert

    phases = {"environment": "preparing the converter", "graphs": "reading the model", "weights": "writing weights"}
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        if adapter is not None:
            from finetune.export.export import export

            merged = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lorgnette-"))) / "merged"
            model_id = str(export(Path(adapter), model_id, merged).folder)
        bar = stack.enter_context(Progress(*columns, console=console, transient=True, disable=not console.is_terminal))
        task = bar.add_task("", total=1.0)

        def report(phase: str, share: float) -> None:
            bar.update(task, description=phases.get(phase, phase), completed=share)

        ir = convert(model_id, Path(out), cast("Weights", weights), data_home() / "converter", report)
    click.echo(f"{OPENVINO}{ir.folder}")


@model.command("pull", short_help="Download a model.")
@click.argument("model_id", metavar="ID")
@verbose_option
def pull_model(model_id: str) -> None:
    """Download the model ID from Hugging Face, or from ModelScope as modelscope:ORG/NAME.

    openvino:ORG/NAME is one that the hub has converted already.

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

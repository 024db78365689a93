"""`lorgnette`: the commands and their help. Each command imports what it needs when it runs, so help is instant."""

import sys
from pathlib import Path
from runpy import run_path

try:  # by its path: a foreign `common` must not be imported either
    run_path(str(Path(__file__).parents[1] / "common" / "shadowing.py"))["check_packages"]()
except ImportError as _error:
    sys.exit(f"Error: {_error}")

import click

from cli.adapter import adapter
from cli.ask.command import ask
from cli.clients.install import install, uninstall
from cli.data.command import data
from cli.doctor import doctor
from cli.edge import Edge, Run, leave, verbose_option
from cli.finetune.compare import finetune_compare
from cli.finetune.evaluate import finetune_evaluate
from cli.finetune.export import finetune_export
from cli.finetune.job import api_words, chat_words, export_words, train_words
from cli.finetune.train import finetune
from cli.graph import graph
from cli.kb.add import add
from cli.kb.command import kb
from cli.kb.doctor import doctor as doctor_of_kb
from cli.kb.export import export
from cli.kb.search import search
from cli.models import model
from cli.open import open_page
from cli.serve import serve
from cli.sessions import session


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from lorgnette.version import own_version

    click.echo(f"lorgnette {own_version()}")
    ctx.exit()


@click.group(cls=Edge, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@verbose_option
@click.pass_context
def app(ctx: click.Context) -> None:
    """Ask about pictures and documents, on this machine.

    \b
    Examples:
      lorgnette ask "How many objects are there?" photo.png
      lorgnette install claude-desktop --root ~/Pictures
      lorgnette doctor
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    ctx.ensure_object(Run)


for command in (
    ask, search, kb, data, finetune, session, serve, open_page, install, uninstall, model, adapter, graph, doctor,
):  # fmt: skip
    app.add_command(command)
for command in (train_words, export_words, api_words, chat_words):  # LLaMA-Factory's, which the help does not list
    app.add_command(command)
kb.add_command(export)
finetune.add_command(finetune_compare)
finetune.add_command(finetune_evaluate)
finetune.add_command(finetune_export)
kb.add_command(doctor_of_kb)
kb.add_command(add)


def main() -> None:
    """Run the command line and end the process."""
    try:
        app(prog_name="lorgnette")
    except SystemExit as end:
        leave(end.code)


if __name__ == "__main__":
    main()

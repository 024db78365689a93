"""`lorgnette open`: the page in a browser or a window of its own, with the MCP server on the same port."""

import gc
import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.edge import Run, set_up_logging, settings_options, verbose_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorgnette.settings import Settings
    from page.shelf import Other
PORT = 8765


@click.command("open", short_help="Open the page: chat, documents, models, training.")
@click.option("--window", is_flag=True, help="Show it in a window of its own, not in a tab of the browser.")
@click.option("--no-browser", is_flag=True, help="Open nothing; print the address instead.")
@settings_options
@click.option("--host", metavar="H", default="127.0.0.1", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help=f"Port. Default: {PORT}, or any free one.")
@verbose_option
@click.pass_obj
def open_page(run: Run, /, window: bool, no_browser: bool, host: str, port: int | None, **flags: Any) -> None:
    """Open the page: ask about pictures and documents, see boxes and evidence, manage folders, models and training.

    Only this machine and who knows the address can reach it; MCP clients find the server at /mcp on the same port.
    Where a page with the same settings runs already, that one is opened. Needs `pip install 'lorgnette[page]'`.

    \b
    Examples:
      lorgnette open
      lorgnette open --window --root ~/Pictures
      lorgnette open --no-browser --port 9000
    """  # noqa: D301
    if window and no_browser:
        raise click.UsageError("--window opens something; leave out --window or --no-browser.")
    from page.errors import PageError

    if importlib.util.find_spec("nicegui") is None:
        raise PageError("page_missing")
    gc.disable()  # until the page is served: what is imported stays, and to search it for garbage takes its time
    try:
        settings = _settings(run, flags)
        from page.opening.run import Opening

        opening = Opening(
            settings,
            host,
            port,
            PORT,
            run.open_agent,
            say=lambda text: click.echo(text, err=True),
            print_address=click.echo,
            start_again=lambda port, other: start_again(settings, port, other),
        )
        opening.run("window" if window else "none" if no_browser else "browser")
    finally:
        gc.enable()


def start_again(own: "Settings", port: int, other: "Other") -> NoReturn:
    """Become the same command with another model, on the same port, where the open tabs look for it."""
    arguments = sys.argv[1:]
    begin = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]  # how this program was named
    command = [sys.executable, *begin, *again_arguments(arguments, own.model, port, other)]
    sys.stderr.flush()
    if os.name == "nt":  # there a process cannot become another one
        os._exit(subprocess.call(command))
    os.execv(command[0], command)


def again_arguments(arguments: "Sequence[str]", own: str, port: int, other: "Other") -> list[str]:
    """Return the arguments with which the page starts again; an adapter of another model stays behind."""
    replaced = {"--port", "--model", *(["--quantization"] if other.quantization is not None else [])}
    replaced |= {"--adapter"} if other.model != own else set()
    kept, words = [], iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in replaced:
            if not equals:
                next(words, None)
        elif word not in ("--window", "--no-browser"):
            kept.append(word)
    form = [] if other.quantization is None else ["--quantization", other.quantization]
    return [*kept, "--no-browser", "--port", str(port), "--model", other.model, *form]


def _settings(run: Run, flags: dict[str, Any]) -> "Settings":
    from lorgnette.settings import load_settings
    from model.qwen3_vl.loading import lean_import

    lean_import.allow()
    settings = load_settings(**flags)
    set_up_logging(run)
    return settings

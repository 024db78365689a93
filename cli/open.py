"""`lorgnette open`: the page in a browser or a window of its own, with the MCP server on the same port."""

import importlib.util
from typing import TYPE_CHECKING, Any

import click

from cli.edge import Run, set_up_logging, settings_options, verbose_option

if TYPE_CHECKING:
    from lorgnette.settings import Settings
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
    )
    opening.run("window" if window else "none" if no_browser else "browser")


def _settings(run: Run, flags: dict[str, Any]) -> "Settings":
    from lorgnette.settings import load_settings
    from model.qwen3_vl.loading import lean_import

    lean_import.allow()
    settings = load_settings(**flags)
    set_up_logging(run)
    return settings

"""`lorgnette serve`: the MCP server over stdio or HTTP. Everything but the protocol goes to stderr."""

import gc
import logging
from typing import TYPE_CHECKING, Any

import click

from cli.edge import Run, set_up_logging, settings_options, verbose_option
from cli.tool_options import offer_options

if TYPE_CHECKING:
    from lorgnette.settings import Settings

logger = logging.getLogger(__name__)


@click.command(short_help="Serve pictures to MCP clients.")
@settings_options
@offer_options
@click.option("--http", is_flag=True, help="Serve over HTTP, so that several clients share the model.")
@click.option("--host", metavar="H", help="Address to listen on, with --http. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Port, with --http. Default: 8765.")
@verbose_option
@click.pass_obj
def serve(run: Run, /, http: bool, host: str | None, port: int | None, **flags: Any) -> None:
    """Serve pictures and documents to an MCP client over stdio, or with --http to several.

    Over stdio the client starts this command by itself; the model loads in the background.

    \b
    Examples:
      lorgnette serve --root ~/Pictures --root ~/Documents
      lorgnette serve --http --root ~/Pictures
    """  # noqa: D301
    if http:
        serve_http(run, host or "127.0.0.1", 8765 if port is None else port, flags)
        return
    if host is not None or port is not None:
        raise click.UsageError("--host and --port need --http.")
    from mcp_server.transport.stdout import take_stdout

    stdout = take_stdout()  # before anything that could print is imported
    gc.disable()  # the SDK makes thousands of classes that stay: to search them for garbage is a tenth of the start
    settings = _settings(run, flags)
    from mcp_server.app import build_server
    from mcp_server.transport.stdio import serve_stdio

    server = build_server(settings, run.open_agent)
    gc.freeze()
    gc.enable()
    serve_stdio(server, stdout)


def serve_http(run: Run, host: str, port: int, flags: dict[str, Any]) -> None:
    """Serve over HTTP until it is stopped, under the settings with these flags laid over them."""
    settings = _settings(run, flags)
    from mcp_server.http_server import HttpServer

    HttpServer(settings, host, port, run.open_agent).run(lambda text: click.echo(text, err=True))


def _settings(run: Run, flags: dict[str, Any]) -> "Settings":
    from lorgnette.settings import load_settings
    from model.qwen3_vl.loading import lean_import

    lean_import.allow()
    settings = load_settings(**flags)
    set_up_logging(run)
    for root in settings.roots:
        if root == root.parent:
            logger.warning("every picture of this machine may be read: a root is %s; name folders with --root", root)
    return settings

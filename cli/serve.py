"""`lorgnette serve`: the MCP server over stdio. Everything but the protocol goes to stderr."""

import logging
from typing import Any

import click

from cli.edge import Run, set_up_logging, settings_options, verbose_option

logger = logging.getLogger(__name__)


@click.command(short_help="Serve pictures to MCP clients over stdio.")
@settings_options
@verbose_option
@click.pass_obj
def serve(run: Run, /, **flags: Any) -> None:
    """Serve the tool ask_image to an MCP client over stdio.

    The client starts this command by itself; the model loads in the background.

    \b
    Example:
      lorgnette serve --root ~/Pictures --root ~/Documents
    """  # noqa: D301
    from mcp_server.settings import load_settings

    settings = load_settings(**flags)
    set_up_logging(run)
    for root in settings.roots:
        if root == root.parent:
            logger.warning("every picture of this machine may be read: a root is %s; name folders with --root", root)
    from mcp_server.app import build_server

    build_server(settings, run.open_agent).run("stdio")

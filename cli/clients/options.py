"""The machine and the project that commands about MCP clients speak of."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mcp_server.clients.known_clients import Place

CLIENTS = ("claude-desktop", "claude-code", "vscode", "cursor", "codex")  # a test holds this against the real list
NAME = "lorgnette"


def here() -> "Place":
    """Return the place that this command runs in."""
    from mcp_server.clients.known_clients import Place, System

    systems: dict[str, System] = {"darwin": "macos", "win32": "windows"}
    return Place(systems.get(sys.platform, "linux"), Path.home(), os.environ, Path.cwd())


def check_name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Accept what every client accepts as a server's name."""
    if not value or len(value) > 64 or not all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in value):
        raise click.BadParameter("give up to 64 letters, digits, - and _")
    return value


def file_options(command: Any) -> Any:
    """Add the flags that say which entry of which file is meant."""
    for option in reversed(
        [
            click.option(
                "--name",
                default=NAME,
                metavar="NAME",
                callback=check_name,
                help="Of the entry; another one makes a second.",
            ),
            click.option("--workspace", is_flag=True, help="Use the project's file in the working folder."),
            click.option(
                "--file",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="Another file of the client's form, as of a VS Code profile.",
            ),
            click.option("--dry-run", is_flag=True, help="Show the change and make none."),
        ]
    ):
        command = option(command)
    return command

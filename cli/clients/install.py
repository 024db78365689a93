"""`lorgnette install` and `lorgnette uninstall`: the server's entry in the files of MCP clients."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.clients.options import CLIENTS, file_options, here
from cli.edge import settings_options, verbose_option
from cli.tool_options import offer_options
from common.errors import LorgnetteError

if TYPE_CHECKING:
    from mcp_server.clients.known_clients import Client, Place
    from mcp_server.clients.launch_command import Launch


class ClientNotFound(LorgnetteError):
    """The client has left no sign on this machine."""

    def __init__(self, title: str, path: Path) -> None:
        self.title, self.path = title, path
        super().__init__(
            f"{title} was not found: it would keep {str(path)!r}; start it once, or make the file with --force."
        )


class NoWorkspaceFile(LorgnetteError):
    """The client has one file for the user and none for projects."""

    def __init__(self, title: str) -> None:
        self.title = title
        super().__init__(f"{title} has no file for projects; leave --workspace out.")


@click.command(short_help="Connect an MCP client to Lorgnette.")
@click.argument("client", type=click.Choice(CLIENTS))
@settings_options
@offer_options
@file_options
@click.option("--print", "only_print", is_flag=True, help="Print the entry, to be put in by hand, and write nothing.")
@click.option("--force", is_flag=True, help="Make the file also where the client was not found.")
@verbose_option
def install(
    client: str,
    name: str,
    workspace: bool,
    file: Path | None,
    dry_run: bool,
    only_print: bool,
    force: bool,
    **flags: Any,
) -> None:
    """Write an entry that starts `lorgnette serve` with these settings into the client's file.

    Everything else in the file stays, and a copy of it lies beside it. Doing it again changes nothing.

    \b
    Examples:
      lorgnette install claude-desktop --root ~/Pictures --kb ~/Papers
      lorgnette install vscode --workspace --dry-run
    """  # noqa: D301
    from mcp_server.clients import config_file as client_files
    from mcp_server.clients.known_clients import CLIENTS as KNOWN

    place = here()
    chosen = next(known for known in KNOWN.values() if known.name == client)
    launch = _launch(flags)
    entry = chosen.entry(launch)
    if only_print:
        click.echo(client_files.snippet(chosen, name, entry).rstrip())
        return
    path = _path(chosen, place, workspace, file)
    if not (force or workspace or file or chosen.is_present(place)):
        raise ClientNotFound(chosen.title, path)
    edit = client_files.install_edit(chosen, path, name, entry)
    if dry_run:
        click.echo(edit.diff() or f"{name!r} is already installed in {path}", nl=edit.outcome == "unchanged")
        return
    if edit.outcome == "unchanged":
        click.echo(f"{name!r} is already installed in {chosen.title}: {path}")
        return
    backup = client_files.write(edit)
    click.echo(f"{edit.outcome.capitalize()} {name!r} in {chosen.title}: {path}")
    if backup is not None:
        click.echo(f"What was there before: {backup}")
    click.echo(f"It starts: {shlex.join([launch.command, *launch.args])}")
    click.echo(chosen.next_step)
    _tell_secrets(chosen, launch)
    click.echo(f"To check it: lorgnette doctor {client}")


@click.command(short_help="Take Lorgnette out of an MCP client.")
@click.argument("client", type=click.Choice(CLIENTS))
@file_options
@verbose_option
def uninstall(client: str, name: str, workspace: bool, file: Path | None, dry_run: bool) -> None:
    """Remove the entry from the client's file; everything else stays, and a copy of the file lies beside it.

    \b
    Example:
      lorgnette uninstall claude-desktop
    """  # noqa: D301
    from mcp_server.clients import config_file as client_files
    from mcp_server.clients.known_clients import CLIENTS as KNOWN

    place = here()
    chosen = next(known for known in KNOWN.values() if known.name == client)
    path = _path(chosen, place, workspace, file)
    edit = client_files.removal_edit(chosen, path, name)
    if edit.outcome == "absent":
        click.echo(f"{name!r} is not in {path}")
    elif dry_run:
        click.echo(edit.diff(), nl=False)
    else:
        backup = client_files.write(edit)
        click.echo(f"Removed {name!r} from {chosen.title}: {path}")
        click.echo(f"What was there before: {backup}")


def _path(client: "Client", place: "Place", workspace: bool, file: Path | None) -> Path:
    if file is not None:
        return file.expanduser().absolute()
    path = client.file(place, workspace=workspace)
    if path is None:
        raise NoWorkspaceFile(client.title)
    return path


def _launch(flags: dict[str, Any]) -> "Launch":
    from common.home import data_home
    from lorgnette.settings import config_file, load_settings
    from mcp_server.clients.launch_command import launch

    return launch(flags, load_settings(**flags), os.environ, config_file(), data_home())


def _tell_secrets(client: "Client", launch: "Launch") -> None:
    """Say what becomes of keys and tokens, which are written nowhere."""
    for variable in launch.secrets:
        if client.form == "toml":
            click.echo(f"{variable} is not in the file: Codex passes it on from the shell that starts it.")
        else:
            click.echo(f"{variable} is not in the file: where {client.title} does not pass it on, add it to `env`.")

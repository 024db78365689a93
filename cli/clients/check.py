"""Whether the clients that have our entry can start the server: each entry is tried as its client would."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.clients.options import NAME
from cli.finding import Check

if TYPE_CHECKING:
    from mcp_server.clients.known_clients import Client, Place


def check_clients(only: str | None, place: "Place", limit_s: float | None = None) -> Iterator[Check]:
    """Try every entry of ours in the files of the user and of the project.

    Args:
        only: The one client that is meant; it fails without an entry.
        place: Whose files they are.
        limit_s: How long a server may take; by default what clients give it.
    """
    from mcp_server.clients.config_file import ClientFileError, entries
    from mcp_server.clients.known_clients import CLIENTS

    for client in CLIENTS.values():
        if only not in (None, client.name):
            continue
        found = False
        for path in dict.fromkeys(client.file(place, workspace=workspace) for workspace in (False, True)):
            if path is None:
                continue
            try:
                ours = {name: entry for name, entry in entries(client, path).items() if _is_ours(name, entry)}
            except ClientFileError as error:
                found = True
                yield Check(client.name, "fail" if only else "warn", str(error))
                continue
            for name, entry in ours.items():
                found = True
                yield _try(client, name, entry, path, place, limit_s)
        if only and not found:
            yield Check(client.name, "fail", f"{client.title} has no entry of ours", f"lorgnette install {client.name}")


def _is_ours(name: str, entry: dict[str, Any]) -> bool:
    command = entry.get("command")
    return isinstance(command, str) and (name == NAME or Path(command).stem == NAME)


def _try(
    client: "Client", name: str, entry: dict[str, Any], path: Path, place: "Place", limit_s: float | None
) -> Check:
    from mcp_server.clients.probe import LIMIT_S, CommandMissing, TrialError, try_server

    command, args = entry["command"], [str(arg) for arg in entry.get("args", [])]
    logs = f"logs: {client.logs(place, name)}"
    folder = Path(entry["cwd"]) if isinstance(entry.get("cwd"), str) else client.folder(place)
    try:
        trial = try_server(command, args, place.environment(entry), folder, limit_s or LIMIT_S)
    except TrialError as error:
        mend = f"run it by hand and see: {shlex.join([command, *args])}"
        if isinstance(error, CommandMissing):
            mend = f"lorgnette install {client.name}" + ("" if name == NAME else f" --name {name}")
        return Check(client.name, "fail", f"{path}, {name!r}: {error}", f"{mend}; {logs}")
    found = f"{path}, {name!r}: {len(trial.tools)} tools after {trial.seconds:.1f} s, {trial.call} read; {logs}"
    return Check(client.name, "ok", found)

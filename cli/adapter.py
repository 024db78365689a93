"""`lorgnette adapter`: which adapter running servers use, and which there are."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.edge import verbose_option


@click.group(short_help="Change the adapter of running servers.")
@verbose_option
def adapter() -> None:
    """Change the adapter of the servers that run on this machine, without loading their model again.

    \b
    Examples:
      lorgnette adapter list
      lorgnette adapter use runs/captions
      lorgnette adapter none
    """  # noqa: D301


@adapter.command("use", short_help="Let running servers use an adapter.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", metavar="M", help="Servers with this model are meant; default: the setting model.")
@verbose_option
def use_adapter(folder: Path, model: str | None) -> None:
    """Let the servers that run with this model use the adapter in FOLDER from their next question on.

    One that does not fit is refused there: the server goes on as before and its answers say so.
    """
    from model.adapters.attach import read_adapter

    folder = folder.expanduser().absolute()
    read_adapter(folder)
    _request(folder, model)
    click.echo(f"To use it from the start, put into lorgnette.yaml:\nadapter: {folder}")


@adapter.command("none", short_help="Let running servers take their adapter off.")
@click.option("--model", metavar="M", help="Servers with this model are meant; default: the setting model.")
@verbose_option
def use_none(model: str | None) -> None:
    """Let the servers that run with this model answer as the base model does, from their next question on."""
    _request(None, model)


@adapter.command("list", short_help="List the adapters in a folder, and which are in use.")
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
def list_adapters(folder: Path, as_json: bool) -> None:
    """List the adapters in FOLDER (default: the working folder) and its subfolders, and what each was made for.

    Behind them stands what each HTTP server on this machine uses just now; its settings may name another one.
    """
    from common.safe_text import printable
    from model.adapters.found import find_adapters

    servers = list(_servers())
    worn_by: dict[str, list[int]] = {}
    for server in servers:
        if server["adapter"]:
            worn_by.setdefault(_real(server["adapter"]), []).append(server["pid"])
    found = [
        {"folder": str(one.folder), "type": one.type, "base": one.base, "worn_by": worn_by.get(_real(one.folder), [])}
        for one in find_adapters(folder)
    ]
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        line = f"{one['folder']:<48} {one['type'] or '?':<8} for {one['base'] or 'an unnamed base'}"
        click.echo(printable(line + (", in use" if one["worn_by"] else "")))
    if not found:
        click.echo(printable(f"There is no adapter in {folder.absolute()} or below it; name another folder."), err=True)
    for server in servers:
        who, uses = f"process {server['pid']} (model {server['name']})", server["adapter"] or "no adapter"
        click.echo(printable(f"The server of {who} uses {uses}."), err=True)
        if server["refused"]:
            click.echo(printable(f"Degraded: {server['refused']}"), err=True)


def _request(folder: Path | None, model: str | None) -> None:
    from lorgnette.model_sharing.adapter_switch import AdapterRequest, request_adapter
    from lorgnette.settings import load_settings

    settings = load_settings(model=model)
    request_adapter(AdapterRequest(model=settings.model, adapter=folder))
    what = f"use {folder}" if folder else "use no adapter"
    click.echo(f"Servers that run with the model {settings.model} {what} from their next question on.")


def _servers() -> Iterator[dict[str, Any]]:
    """Yield what the HTTP servers on this machine say of their models; those that still load say nothing."""
    from http.client import HTTPException

    from lorgnette.model_sharing.registry import MODEL_PATH, find_servers, get

    for server in find_servers():
        try:
            state = get(server, MODEL_PATH, server.key)
        except (OSError, HTTPException, ValueError):
            continue
        if state.get("state") == "ready":
            yield {"pid": server.pid, **{name: state.get(name) for name in ("name", "adapter", "refused")}}


def _real(folder: str | Path) -> str:
    return os.path.realpath(Path(folder).expanduser())

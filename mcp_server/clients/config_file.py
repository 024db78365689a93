"""Edits a client's file: one entry is set or removed, everything else stays as it was, byte for byte.

A file that cannot be parsed is never touched. It is replaced as a whole or not at all, a link is followed instead of
replaced, and a copy of what was there lies beside it. It knows no client, only forms of files.
"""

import difflib
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from common.atomic_files import is_disk_full
from common.errors import LorgnetteError
from mcp_server.clients.jsonc import JsonText, NotJson
from mcp_server.clients.known_clients import Client, Form
from mcp_server.clients.launch_command import is_ours
from mcp_server.clients.toml import NotToml, TomlText

MAX_BYTES = 64 << 20
BOM = "\ufeff"
OURS = ("type", "command", "args", "env", "env_vars", "url", "headers")  # the last two of a remote server of that name
TIMEOUTS = ("startup_timeout_sec", "tool_timeout_sec")

Outcome = Literal["added", "updated", "unchanged", "removed", "absent"]


class ClientFileError(LorgnetteError):
    """A client's file cannot be read or changed; it is as it was."""


class ClientFileUnreadable(ClientFileError):
    """The file cannot be read or understood."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The file {str(path)!r} was left alone: {reason}; mend it, or move it away, and try again.")


class ClientFileReadOnly(ClientFileError):
    """The file is protected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"The file {str(path)!r} is read-only; permit writing to it, or add what --print shows by hand."
        )


class ClientFileNotWritten(ClientFileError):
    """The file or its folder refuses to be written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"The file {str(path)!r} cannot be written ({reason}) and is as it was; correct the permissions of its "
            "folder, or add what --print shows by hand."
        )


class ClientFileChanged(ClientFileError):
    """Another program wrote the file in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"The file {str(path)!r} was changed by another program meanwhile; quit that and try again.")


@dataclass(frozen=True)
class Edit:
    """A change that is worked out and not yet made."""

    path: Path
    before: bytes | None
    """None where there is no file yet."""
    after: bytes
    outcome: Outcome

    def diff(self) -> str:
        """Return the change as a unified diff; empty where there is none."""
        old, new = ((part or b"").decode("utf-8-sig").splitlines(keepends=True) for part in (self.before, self.after))
        lines = difflib.unified_diff(old, new, str(self.path), f"{self.path} (new)")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def install_edit(client: Client, path: Path, name: str, entry: Mapping[str, Any]) -> Edit:
    """Work out the file with the entry; keys that somebody added to an older entry of that name stay.

    Raises:
        ClientFileUnreadable: The file cannot be parsed.
    """
    before = _read(path)
    text = _decode(path, before)
    try:
        parsed = _parse(client.form, text)
        old = _servers(parsed.value, client.key, path).get(name)
        if old is None:
            return Edit(path, before, _encode(before, parsed.set(client.key, name, entry)), "added")
        new = _merged(old, entry) if isinstance(old, dict) else dict(entry)
        if new == old:
            return Edit(path, before, before or b"", "unchanged")
        return Edit(path, before, _encode(before, parsed.set(client.key, name, new)), "updated")
    except (NotJson, NotToml) as error:
        raise ClientFileUnreadable(path, str(error)) from None


def removal_edit(client: Client, path: Path, name: str) -> Edit:
    """Work out the file without the entry.

    Raises:
        ClientFileUnreadable: The file cannot be parsed.
    """
    before = _read(path)
    text = _decode(path, before)
    try:
        parsed = _parse(client.form, text)
        if before is None or name not in _servers(parsed.value, client.key, path):
            return Edit(path, before, before or b"", "absent")
        return Edit(path, before, _encode(before, parsed.remove(client.key, name)), "removed")
    except (NotJson, NotToml) as error:
        raise ClientFileUnreadable(path, str(error)) from None


def entries(client: Client, path: Path) -> dict[str, dict[str, Any]]:
    """Return the servers of the file by their names; none where there is no file.

    Raises:
        ClientFileUnreadable: The file cannot be parsed.
    """
    before = _read(path)
    if before is None:
        return {}
    try:
        servers = _servers(_parse(client.form, _decode(path, before)).value, client.key, path)
    except (NotJson, NotToml) as error:
        raise ClientFileUnreadable(path, str(error)) from None
    return {name: entry for name, entry in servers.items() if isinstance(entry, dict)}


def snippet(client: Client, name: str, entry: Mapping[str, Any]) -> str:
    """Return what a file of the client holds that has this entry and nothing else."""
    return _parse(client.form, "").set(client.key, name, entry)


def write(edit: Edit) -> Path | None:
    """Make the change and return the backup; None where there was no file to keep.

    Raises:
        ClientFileError: Nothing was changed.
        OSError: The disk is full, and nothing was changed.
    """
    path = edit.path
    try:
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        if edit.before is None:
            _replace(target, edit)
            return None
        status = target.stat()
        if not status.st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            raise ClientFileReadOnly(path)
        backup = _backup(target)
        try:
            _replace(target, edit, status)
        except BaseException:
            backup.unlink(missing_ok=True)
            raise
        return backup
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        if is_disk_full(error):
            raise
        raise ClientFileNotWritten(path, getattr(error, "strerror", None) or str(error)) from error


def _replace(target: Path, edit: Edit, status: os.stat_result | None = None) -> None:
    """Write the new file beside the old one and put it in its place, unless somebody else wrote it meanwhile."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(edit.after)
            file.flush()
            os.fsync(file.fileno())
        if status is not None:
            part.chmod(stat.S_IMODE(status.st_mode))
            if hasattr(os, "chown"):
                with suppress(PermissionError):  # only another user's file, and then only for root
                    os.chown(part, status.st_uid, status.st_gid)
        if _read(target) != edit.before:
            raise ClientFileChanged(edit.path)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _backup(target: Path) -> Path:
    """Copy the file beside itself under a name that is free."""
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        backup = target.with_name(f"{target.name}.{stamp}{f'-{number}' if number > 1 else ''}.bak")
        try:
            backup.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            shutil.copy2(target, backup)
        except OSError:
            backup.unlink(missing_ok=True)
            raise
        return backup
    raise ClientFileNotWritten(target, "its folder is full of backups")


def _read(path: Path) -> bytes | None:
    try:
        if path.exists() and not path.is_file():
            raise ClientFileUnreadable(path, "it is no file")
        if path.exists() and path.stat().st_size > MAX_BYTES:
            raise ClientFileUnreadable(path, f"it is larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as error:
        raise ClientFileUnreadable(path, getattr(error, "strerror", None) or str(error)) from error


def _decode(path: Path, content: bytes | None) -> str:
    try:
        return (content or b"").decode().removeprefix(BOM)
    except UnicodeDecodeError:
        raise ClientFileUnreadable(path, "it is not UTF-8") from None


def _encode(before: bytes | None, text: str) -> bytes:
    return ((BOM if before and before.startswith(BOM.encode()) else "") + text).encode()


def _parse(form: Form, text: str) -> JsonText | TomlText:
    return TomlText(text) if form == "toml" else JsonText(text, comments=form == "jsonc")


def _servers(value: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    servers = value.get(key, {})
    if not isinstance(servers, dict):
        raise ClientFileUnreadable(path, f"its {key!r} is no object")
    return servers


def _merged(old: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Renew our keys and keep the user's, among them longer time-outs and variables that we never write."""
    new = {**entry, **{key: value for key, value in old.items() if key not in OURS}}
    for key in TIMEOUTS:
        if isinstance(old.get(key), int | float) and key in entry:
            new[key] = max(old[key], entry[key])
    env = old.get("env")
    by_hand = {key: value for key, value in env.items() if not is_ours(key)} if isinstance(env, dict) else {}
    if by_hand:
        new["env"] = {**by_hand, **entry.get("env", {})}
    return new

"""Which processes on this machine hold a model that others may use: a small file for each, and what it must prove.

It opens no model and sends no question. The files lie in a folder of the data folder that only the user may read;
whoever holds a model writes one with its address and a key of this run, and removes it at its end. A file that was
left behind is recognised and removed: its process is gone, or what answers at its address does not know the key.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from common.atomic_files import is_part, write_whole
from common.home import data_home
from lorgnette.settings import Settings
from lorgnette.version import own_version
from model.errors import ModelError
from model.open import is_remote

logger = logging.getLogger(__name__)

FOLDER = "servers"
NONCE_CHARS = 100
ANSWER_S = 2.0
"""A holder answers in milliseconds, whatever its model does; who does not is not asked to hold anything."""
PROOF_PATH, MODEL_PATH = "/lorgnette/proof", "/lorgnette/model"


class Shape(BaseModel):
    """What decides which answers a model gives; two processes with equal ones can share it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    model: str
    folder: str
    adapter: str | None
    node_adapters: tuple[tuple[str, str], ...]
    quantization: str
    max_pixels: int | None
    files: str
    """Digest of names, sizes and times of all weights: a folder that was trained again is another model."""


class Holder(BaseModel):
    """A server of this user that can prove itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    """Its name: a home folder may be shared by several."""
    pid: int
    address: str
    """Of the OpenAI-compatible endpoint, ending in /v1."""
    key: str
    """Of this run, in hexadecimal."""


class RunningServer(Holder):
    """What one file says."""

    shape: Shape


H = TypeVar("H", bound=Holder)


def shape_of(settings: Settings) -> Shape | None:
    """Return the shape of the model that the settings name; none where it is not on this machine."""
    if is_remote(settings.model):
        return None
    from model.hub import find_local

    try:
        folder = find_local(settings.model).resolve()
        files = _digest(_folders(settings, folder))
    except (ModelError, OSError):
        return None  # who loads it says why
    return Shape(
        version=own_version(),
        model=settings.model,
        folder=str(folder),
        adapter=None if settings.adapter is None else str(settings.adapter.expanduser().resolve()),
        node_adapters=tuple((node, str(path.expanduser().resolve())) for node, path in settings.node_adapters),
        quantization=settings.quantization,
        max_pixels=settings.max_pixels,
        files=files,
    )


def _folders(settings: Settings, model: Path) -> list[Path]:
    adapters = [settings.adapter, *(path for _, path in settings.node_adapters)]
    return [model, *(path.expanduser() for path in adapters if path is not None)]


def _digest(folders: list[Path]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            status = path.stat()
            digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@contextmanager
def advertise(address: str, key: str, shape: Shape | None) -> Iterator[None]:
    """Let other processes find this one's model while the body runs; without a shape nobody is told."""
    if shape is None:
        yield
        return
    folder = data_home() / FOLDER
    server = RunningServer(machine=platform.node(), pid=os.getpid(), address=address, key=key, shape=shape)
    path = folder / f"{secrets.token_hex(8)}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, server.model_dump_json(), private=True, durable=False)
    except OSError as error:
        logger.warning("other processes cannot find this server's model: %s", error)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def find_server(settings: Settings) -> RunningServer | None:
    """Return a process that holds exactly the model that the settings name and lives; removes what others left."""
    shape = None
    for server in find_servers():
        shape = shape or shape_of(settings)
        if server.shape == shape:
            return server
    return None


def find_servers() -> Iterator[RunningServer]:
    """Yield every process that holds a model and lives; removes what others left."""
    folder = data_home() / FOLDER
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if is_part(path):  # another process is writing it
            continue
        server = _read(path)
        if server is None:
            continue
        alive = proves_itself(server)
        if alive is False:
            logger.info("the server of process %d is gone, its file is removed", server.pid)
            with contextlib.suppress(OSError):
                path.unlink()
        elif alive:
            yield server


def proof(key: str, nonce: str) -> str:
    """Return what only a process that knows the key can answer."""
    return hmac.new(bytes.fromhex(key), b"lorgnette " + nonce.encode(), "sha256").hexdigest()


def proves_itself(server: Holder) -> bool | None:
    """Return whether the holder lives and knows the key of its file; None where it did not answer in time.

    The key itself is not sent: another program may have taken the port.
    """
    import psutil

    if not psutil.pid_exists(server.pid):
        return False
    nonce = secrets.token_hex(16)
    try:
        reply = get(server, f"{PROOF_PATH}?nonce={nonce}")
    except TimeoutError:
        return None
    except (OSError, HTTPException, ValueError):
        return False
    given = reply.get("proof")
    return isinstance(given, str) and hmac.compare_digest(given, proof(server.key, nonce))


def get(server: Holder, path: str, key: str | None = None) -> dict[str, Any]:
    """Return the JSON object that a holder gives; by no proxy, whatever the environment says.

    Raises:
        OSError, HTTPException, ValueError: It gives none; TimeoutError, which is an OSError, where it is silent.
    """
    parts = urlsplit(server.address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    with contextlib.closing(connection):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", parts.path + path, headers=headers)
        reply = connection.getresponse()
        found = json.loads(reply.read(100_000))
    if reply.status != 200 or not isinstance(found, dict):
        raise ValueError(f"HTTP {reply.status}")
    return found


def _read(path: Path) -> RunningServer | None:
    return read_private(path, RunningServer)


def read_private(path: Path, form: type[H]) -> H | None:
    """Return what a server of this user on this machine wrote; None where it is another's, or cannot be read."""
    try:
        status = path.stat()
        if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            logger.warning("%s can be read or was written by others and is ignored", path)
            return None
        server = form.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeError, ValidationError):  # of another version, or gone meanwhile
        return None
    return server if server.machine == platform.node() else None

"""Which page of this user runs already, so that `lorgnette open` joins it. It starts nothing and opens no browser.

Each writes a small file into a folder that only the user may read, as servers do; its secret is sent to nobody who has
not proved to be that server.
"""

import contextlib
import logging
import os
import platform
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from common.atomic_files import is_part, write_whole
from common.home import data_home
from lorgnette.model_sharing.handover import settings_digest
from lorgnette.model_sharing.registry import ANSWER_S, Holder, proves_itself, read_private
from lorgnette.settings import Settings
from page.opening.address import TICKET_PATH

logger = logging.getLogger(__name__)

FOLDER = "pages"
_MOST_BYTES = 1000


class RunningPage(Holder):
    """What one file says."""

    page: str
    """Its whole address, with its secret."""
    settings: str
    """Digest of what decides its answers, and which folders it reads."""


@dataclass(frozen=True)
class Place:
    """Where a page was, as its tabs know it."""

    port: int
    secret: str


def digest_of(settings: Settings) -> str:
    """Return what two processes have in common whose pages are the same."""
    return f"{settings_digest(settings)}:{'|'.join(str(root) for root in settings.roots)}"


@contextmanager
def advertise_page(
    url: str, key: str, page: str, settings: Settings, goes_on: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Let other commands of this user find the page while the body runs.

    Args:
        url: Of the server.
        key: By which it proves itself.
        page: Its whole address, with its secret.
        settings: That it was opened with.
        goes_on: Asked at the end: whether the same page is to be served again, at the same address.
    """
    folder = data_home() / FOLDER
    said = RunningPage(
        machine=platform.node(), pid=os.getpid(), address=f"{url}/v1", key=key, page=page, settings=digest_of(settings)
    )
    path = folder / f"{secrets.token_hex(8)}.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, said.model_dump_json(), private=True, durable=False)
    except OSError as error:
        logger.warning("another `lorgnette open` will not find this page: %s", error)
    try:
        yield
    finally:
        if not goes_on():
            with contextlib.suppress(OSError):
                path.unlink()


def find_page(settings: Settings) -> RunningPage | None:
    """Return a page that runs with the same settings."""
    wanted = digest_of(settings)
    return next((page for _, page in _pages() if page.settings == wanted and proves_itself(page)), None)


def take_over(port: int | None) -> Place | None:
    """Return where a page was that ended without taking leave: its tabs look for it there. Removes what such ones left.

    Args:
        port: Only this one; None takes any.
    """
    found = None
    for path, page in _pages():
        if proves_itself(page) is False:
            parts = urlsplit(page.page)
            if port in (None, parts.port):
                found = Place(parts.port or 0, parts.path.strip("/").rpartition("/")[2])
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _pages() -> Iterator[tuple[Path, RunningPage]]:
    folder = data_home() / FOLDER
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        page = None if is_part(path) else read_private(path, RunningPage)
        if page is not None:
            yield path, page


def ticket_of(page: RunningPage) -> str | None:
    """Return a fresh address of a running page that is good for one visit; None if it has just ended."""
    parts = urlsplit(page.page)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    with contextlib.closing(connection):
        try:
            connection.request("POST", f"{parts.path.rstrip('/')}/{TICKET_PATH}", headers={"Content-Length": "0"})
            reply = connection.getresponse()
            said = reply.read(_MOST_BYTES).decode("ascii", "replace")
        except (OSError, HTTPException):
            return None
    return f"{parts.scheme}://{parts.netloc}{said}" if reply.status == 200 else None

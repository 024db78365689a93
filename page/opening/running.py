"""Which page of this user runs already, so that `lorgnette open` joins it. It starts nothing and opens no browser.

Each writes a small file into a folder that only the user may read, as servers do; its secret is sent to nobody who has
not proved to be that server.
"""

import contextlib
import logging
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
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


def digest_of(settings: Settings) -> str:
    """Return what two processes have in common whose pages are the same."""
    return f"{settings_digest(settings)}:{'|'.join(str(root) for root in settings.roots)}"


@contextmanager
def advertise_page(url: str, key: str, page: str, settings: Settings) -> Iterator[None]:
    """Let other commands of this user find the page while the body runs."""
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
        with contextlib.suppress(OSError):
            path.unlink()


def find_page(settings: Settings) -> RunningPage | None:
    """Return a page that runs with the same settings; removes the files of those that are gone."""
    folder, wanted = data_home() / FOLDER, digest_of(settings)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        page = None if is_part(path) else read_private(path, RunningPage)
        if page is None:
            continue
        alive = proves_itself(page)
        if alive is False:
            with contextlib.suppress(OSError):
                path.unlink()
        elif alive and page.settings == wanted:
            return page
    return None


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

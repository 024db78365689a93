"""One process owns the projections and answers the others over a local socket. It does not know the questions.

Embedded Chroma is silently corrupted by a second process, and a mere reader never sees what another one wrote. So who
holds the lock opens the projections, and everybody else asks: the address and a key lie beside the lock, readable by
this user only. The system takes the lock back when its holder dies, by whatever means.
"""

import contextlib
import hmac
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from common.atomic_files import write_whole
from retrieval.errors import RetrievalError

ADDRESS_FILE = "owner.json"
MAX_BYTES = 8_000_000  # of a question or an answer
QUESTION_S = 10.0  # who connects and then says nothing is left alone

Answer = Callable[[bytes], bytes]


class NoOwner(RetrievalError):
    """Nobody answers at the address, or the owner died while it answered; try to become the owner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"no process answers for the knowledge base in {str(folder)!r}; ask again")


class OwnerSilent(RetrievalError):
    """The owner lives but does not answer in time."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        super().__init__(
            f"the process that owns the knowledge base in {str(folder)!r} did not answer in {seconds:.0f} s; "
            "ask again, or stop the other lorgnette"
        )


class Serving:
    """A socket that answers questions on threads of its own until it is closed. Its maker holds the lock."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        """Listen, then write the address into `folder`.

        Args:
            folder: Where the address is left; a dead owner's socket is removed.
            answer: From a question's bytes to the answer's; called from several threads at once.
        """
        _remove_socket(folder)
        self._folder, self._answer, self._key = folder, answer, secrets.token_bytes(32)
        self._place: Path | None = None
        if sys.platform == "win32":
            self._listener = Listener(family="AF_PIPE")
        else:
            # A socket's path may have 107 bytes at most, which a data folder easily exceeds.
            self._place = Path(tempfile.mkdtemp(prefix="lorgnette-"))  # of mode 0700
            self._listener = Listener(str(self._place / "socket"), family="AF_UNIX", backlog=64)
            os.chmod(self._place / "socket", 0o600)
        self._closed = False
        threading.Thread(target=self._accept, name="kb-owner", daemon=True).start()
        write_whole(
            folder / ADDRESS_FILE,
            json.dumps({"address": self._listener.address, "key": self._key.hex()}),
            private=True,
            durable=False,
        )

    def close(self) -> None:
        """Stop listening; answers under way are still given."""
        self._closed = True
        with contextlib.suppress(OSError):
            (self._folder / ADDRESS_FILE).unlink()
        # A thread that waits in accept is not woken by closing the socket, but by a guest.
        with contextlib.suppress(OSError, EOFError):
            Client(self._listener.address).close()
        with contextlib.suppress(OSError):  # its file may be gone with a tidied temporary folder
            self._listener.close()
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):
                continue  # a guest that left at once, or the end
            threading.Thread(target=self._converse, args=(connection,), name="kb-guest", daemon=True).start()

    def _converse(self, connection: Connection) -> None:
        with connection, contextlib.suppress(OSError, EOFError):  # guests die, too
            if not connection.poll(QUESTION_S) or not hmac.compare_digest(connection.recv_bytes(64), self._key):
                return
            if connection.poll(QUESTION_S):
                connection.send_bytes(self._answer(connection.recv_bytes(MAX_BYTES)))


def ask(folder: Path, question: bytes, timeout_s: float) -> bytes:
    """Ask the owner whose address lies in the folder.

    Raises:
        NoOwner: There is none, or it died.
        OwnerSilent: It did not answer in time.
    """
    try:
        found = json.loads((folder / ADDRESS_FILE).read_text("utf-8"))
        with Client(found["address"]) as connection:
            connection.send_bytes(bytes.fromhex(found["key"]))
            connection.send_bytes(question)
            if not connection.poll(timeout_s):
                raise OwnerSilent(folder, timeout_s)
            return connection.recv_bytes(MAX_BYTES)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise NoOwner(folder) from error


def _remove_socket(folder: Path) -> None:
    """Remove what an owner left behind that had no time to close."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        place = Path(json.loads((folder / ADDRESS_FILE).read_text("utf-8"))["address"]).parent
        if place.parent == Path(tempfile.gettempdir()) and place.name.startswith("lorgnette-"):
            shutil.rmtree(place, ignore_errors=True)

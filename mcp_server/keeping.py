"""Keeps the knowledge base current while the server runs: syncs after the handshake, and then on each change."""

import logging
import threading
from collections.abc import Callable

from mcp_server.loading import open_knowledge
from mcp_server.settings import Settings
from retrieval.errors import RetrievalError

logger = logging.getLogger(__name__)

LEAVE_S = 2.0  # a sync that was told to stop ends after the file at hand; a large one is left behind


class Keeper:
    """The thread. Several servers may keep one folder: each finds what another has done already."""

    def __init__(self, settings: Settings, wait_for_handshake: Callable[[], object]) -> None:
        self._settings, self._wait = settings, wait_for_handshake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kb-keeper", daemon=True)

    def start(self) -> None:
        """Begin, if there is a folder to keep."""
        if self._settings.kb.is_dir():
            self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)

    def _run(self) -> None:
        self._wait()
        from retrieval.watch import watch

        try:
            base = open_knowledge(self._settings)
            if base is not None and not self._stop.is_set():
                watch(base, self._stop, lambda report: logger.info("knowledge base: %s", report), self._warn)
        except RetrievalError as error:
            self._warn(error)
        except Exception:  # a thread's edge: the server lives on without it
            logger.exception("the knowledge base is not kept current any more")

    def _warn(self, error: RetrievalError) -> None:
        logger.warning("the knowledge base could not be synced: %s", error)

"""Keeps the knowledge base current while the server runs: syncs after the handshake, and then on each change."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from graph.served_agent import ServedAgent
from lorgnette.documents import Documents
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from retrieval.sync.captions import Captioner
    from retrieval.sync.sync import SyncReport

logger = logging.getLogger(__name__)

LEAVE_S = 0.5  # a sync that was told to stop ends after the file at hand; a large one is left behind


class KnowledgeBaseWatcher:
    """The thread. Several servers may keep one folder: each finds what another has done already."""

    def __init__(
        self,
        documents: Documents,
        wait_for_handshake: Callable[[], object],
        opened: Callable[[], ServedAgent | None],
        changed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare it.

        Args:
            documents: Which folder, and whether its pictures are captioned.
            wait_for_handshake: Returns when the client has what it needed first.
            opened: Returns the agent as soon as there is one; one that captions is asked to.
            changed: Told after each sync which generation the catalogue stands at.
        """
        self._documents, self._wait, self._opened, self._changed = documents, wait_for_handshake, opened, changed
        self._stop = threading.Event()
        self.first_sync = threading.Event()
        """Set when the documents have been read once, or cannot be."""
        self._thread = threading.Thread(target=self._run, name="kb-watcher", daemon=True)

    def start(self) -> None:
        """Begin, if there is a folder to keep."""
        if self._documents.settings.kb.is_dir():
            self._thread.start()
        else:
            self.first_sync.set()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)

    def _run(self) -> None:
        self._wait()
        from graph.model_captioner import wants_captions
        from retrieval.watch import watch

        try:
            base = self._documents.open()
            if base is not None and not self._stop.is_set():
                captioner = self._captioner if wants_captions(self._documents.settings) else None

                def report_sync(report: "SyncReport") -> None:
                    logger.info("knowledge base: %s", report)
                    self.first_sync.set()
                    self._changed(base.catalogue.generation)

                watch(base, self._stop, report_sync, self._warn, captioner=captioner)
        except RetrievalError as error:
            self._warn(error)
        except Exception:  # a thread's edge: the server lives on without it
            logger.exception("the knowledge base is not kept current any more")
        finally:
            self.first_sync.set()

    def _captioner(self) -> "Captioner | None":
        agent = self._opened()
        return agent.captioner if agent is not None else None

    def _warn(self, error: RetrievalError) -> None:
        self.first_sync.set()
        logger.warning("the knowledge base could not be synced: %s", error)

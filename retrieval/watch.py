"""Keeps a knowledge base where its folder is, from change to change. It decides nothing about files: `sync` does.

Pictures are captioned in between, where there is somebody to do it: one at a time, so that a change waits for one.
"""

import logging
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from retrieval.errors import RetrievalError
from retrieval.library import linked_folders
from retrieval.sync.captions import Captioned, Captioner
from retrieval.sync.missing_vectors import Progress
from retrieval.sync.sync import SyncReport

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase

logger = logging.getLogger(__name__)

QUIET_MS = 500  # a change is acted on when nothing followed it for so long: an editor writes a file in several steps
LATEST_MS = 5000  # but never later than this


def watch(
    base: "KnowledgeBase",
    stop: threading.Event,
    on_report: Callable[[SyncReport], None],
    on_error: Callable[[RetrievalError], None],
    progress: Progress | None = None,
    captioner: Callable[[], Captioner | None] | None = None,
) -> None:
    """Sync now and after each change of the folder, until `stop` is set.

    Args:
        base: What to keep current.
        stop: Ends it, after the file at hand.
        on_report: Told what each sync did.
        on_error: Told why one failed; the next change tries again.
        progress: As `KnowledgeBase.sync` has it.
        captioner: Gives who captions pictures; none before it is ready, when it is asked again.

    Raises:
        FolderMissing: There is no folder to watch.
    """
    from watchfiles import watch as changes

    on_report(base.sync(progress, stop))
    captions = _Captions(base, captioner, stop)
    # What changed after that sync and before the watching began is found by one more, at the first sign of life.
    behind = True
    folders = (base.folder, *linked_folders(base.folder).values())
    try:
        for changed in changes(
            *folders, stop_event=stop, step=QUIET_MS, debounce=LATEST_MS, rust_timeout=QUIET_MS,
            yield_on_timeout=True, raise_interrupt=False,
        ):  # fmt: skip
            if stop.is_set():
                continue
            try:
                if changed or behind:
                    behind = False
                    on_report(base.sync(progress, stop))
                    captions.begin_anew()
                else:
                    captions.step()
            except RetrievalError as error:
                on_error(error)
    finally:
        captions.end()


class _Captions:
    """Captioning that goes on while nothing changes."""

    def __init__(
        self, base: "KnowledgeBase", captioner: Callable[[], Captioner | None] | None, stop: threading.Event
    ) -> None:
        self._base, self._captioner, self._stop = base, captioner, stop
        self._work: Generator[Captioned] | None = None
        self._due = captioner is not None

    def begin_anew(self) -> None:
        """Look again for pictures without a caption."""
        self.end()
        self._due = self._captioner is not None

    def step(self) -> None:
        """Caption one picture, if there is one and somebody to do it."""
        if not self._due or self._captioner is None:
            return
        if self._work is None:
            captioner = self._captioner()
            if captioner is None:
                return
            self._work = self._base.captions(captioner, self._stop)
        made = next(self._work, None)
        self._due = made is not None
        if made is not None and made.problem:
            logger.info("no caption yet for %s: %s", made.source, made.problem)

    def end(self) -> None:
        """Let another process do it."""
        if self._work is not None:
            self._work.close()
            self._work = None

"""Keeps a knowledge base where its folder is, from change to change. It decides nothing about files: `sync` does."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from retrieval.errors import RetrievalError
from retrieval.fill import Progress
from retrieval.sync import SyncReport

if TYPE_CHECKING:
    from retrieval.base import KnowledgeBase

QUIET_MS = 500  # a change is acted on when nothing followed it for so long: an editor writes a file in several steps
LATEST_MS = 5000  # but never later than this


def watch(
    base: "KnowledgeBase",
    stop: threading.Event,
    on_report: Callable[[SyncReport], None],
    on_error: Callable[[RetrievalError], None],
    progress: Progress | None = None,
) -> None:
    """Sync now and after each change of the folder, until `stop` is set.

    Args:
        base: What to keep current.
        stop: Ends it, after the file at hand.
        on_report: Told what each sync did.
        on_error: Told why one failed; the next change tries again.
        progress: As `KnowledgeBase.sync` has it.

    Raises:
        FolderMissing: There is no folder to watch.
    """
    from watchfiles import watch as changes

    on_report(base.sync(progress, stop))
    # What changed after that sync and before the watching began is found by one more, at the first sign of life.
    behind = True
    for changed in changes(
        base.folder, stop_event=stop, step=QUIET_MS, debounce=LATEST_MS, rust_timeout=QUIET_MS, yield_on_timeout=True,
        raise_interrupt=False,
    ):  # fmt: skip
        if not (changed or behind) or stop.is_set():
            continue
        behind = False
        try:
            on_report(base.sync(progress, stop))
        except RetrievalError as error:
            on_error(error)

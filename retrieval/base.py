"""A knowledge base as the rest of the program sees it: sync a folder, search it, verify, repair, from any process.

Whichever process comes first owns the projections and searches for all; the others ask it (`retrieval.owner`). Every
process reads and writes the catalogue by itself, and the owner looks at it before each search, so that no search, in
whichever process, misses what the last sync wrote.
"""

import hashlib
import json
import logging
import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from retrieval.catalogue import Catalogue
from retrieval.embed import Embedder, open_embedder
from retrieval.errors import RetrievalError
from retrieval.fill import Progress
from retrieval.locks import FileLock
from retrieval.owner import NoOwner, OwnerSilent, Serving, ask
from retrieval.projections import Finding, Projections
from retrieval.recipe import open_recipe
from retrieval.records import Filter, Found
from retrieval.requests import (
    failure,
    findings_from_bytes,
    findings_to_bytes,
    found_from_bytes,
    found_to_bytes,
    question,
)
from retrieval.rerank import open_reranker
from retrieval.search import Searcher
from retrieval.settings import RetrievalSettings
from retrieval.sync import SyncReport, sync
from retrieval.verify import Cited, Verdict, verify

logger = logging.getLogger(__name__)

ELECTION_S = 10.0  # a dead owner's lock is free at once, but a new owner needs a moment to open the indexes
POLL_S = 0.05
ANSWER_S = 60.0
REPAIR_S = 3600.0


class KnowledgeBase:
    """One folder's knowledge base; safe to use from several threads and, all opened alike, several processes."""

    def __init__(self, settings: RetrievalSettings, home: Path, *, api_key: str | None = None) -> None:
        """Open the catalogue; indexes and models are opened with the first search.

        Args:
            settings: Which folder, and how it is read and searched.
            home: The user's data folder, in which this knowledge base has a folder of its own.
            api_key: Of an embedder behind an address.

        Raises:
            CatalogueError: The catalogue cannot be opened.
        """
        self._settings, self._api_key = settings, api_key
        self.folder = Path(os.path.realpath(settings.kb))
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        self.place = home / "kb" / name
        self.catalogue = Catalogue(self.place / "catalogue.sqlite")
        self._recipe = open_recipe(settings)
        self._lock = FileLock(self.place / "owner.lock")
        self._electing = threading.Lock()
        self._loading = threading.Lock()
        self._embedder: Embedder | None = None
        self._owned: _Owned | None = None

    def sync(self, progress: Progress | None = None, cancel: threading.Event | None = None) -> SyncReport:
        """Bring the catalogue to where the folder is, with vectors where the embedder can be opened.

        Raises:
            FolderMissing: There is no such folder.
            CatalogueError: The catalogue cannot be written.
        """
        embedder, problem = self._open_embedder()
        report = sync(
            self.catalogue, self.folder, embedder, self._recipe,
            progress=progress, cancel=cancel, leave_out=[self.place],
        )  # fmt: skip
        if problem is None:
            return report
        return replace(report, degraded=(*report.degraded, f"dense: indexed without vectors, {problem}"))

    def search(self, query: str, top_k: int = 5, wanted: Filter | None = None, *, wait_s: float = 0.0) -> Found:
        """Search, here or in the process that owns the indexes.

        Args:
            query: The question.
            top_k: How many hits at most.
            wanted: Which passages may be found.
            wait_s: Seconds to wait for the embedder where it is still loading; without it words alone are searched.

        Raises:
            RetrievalError: The knowledge base cannot be searched.
        """
        asked = question("search", query=query, top_k=top_k, filter=asdict(wanted or Filter()), wait_s=wait_s)
        return found_from_bytes(self._answered(asked, ANSWER_S + wait_s))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is indexed."""
        return self.catalogue.is_empty

    def compare(self) -> list[Finding]:
        """Compare the indexes with the catalogue."""
        return findings_from_bytes(self._answered(question("compare"), REPAIR_S))

    def rebuild(self) -> list[Finding]:
        """Make the indexes anew from the catalogue, without embedding; returns how they compare then."""
        return findings_from_bytes(self._answered(question("rebuild"), REPAIR_S))

    def verify(self, cited: Cited) -> Verdict:
        """Hold a citation against its file as it is now."""
        return verify(self.catalogue, self.folder, cited, self._recipe)

    def close(self) -> None:
        """Let go of everything; another process may then own the indexes."""
        with self._electing:
            if self._owned is not None:
                self._owned.close()
                self._owned = None
                self._lock.release()
        self.catalogue.close()

    def _open_embedder(self) -> tuple[Embedder | None, str | None]:
        """Return the embedder, loaded once, or why there is none; what failed is tried again the next time."""
        with self._loading:
            try:
                self._embedder = self._embedder or open_embedder(self._settings.embedder, api_key=self._api_key)
            except RetrievalError as error:
                return None, str(error)
            return self._embedder, None

    def _answered(self, asked: bytes, timeout_s: float) -> bytes:
        """Answer as the owner, or have the owner answer; whoever asks when there is none becomes the owner."""
        deadline = time.monotonic() + ELECTION_S
        while True:
            owned = self._try_to_own()
            if owned is not None:
                return owned.answer(asked)
            try:
                return ask(self.place, asked, timeout_s)
            except NoOwner:
                if time.monotonic() > deadline:
                    raise OwnerSilent(self.place, ELECTION_S) from None
                time.sleep(POLL_S)  # it is dying, or has not yet opened its door

    def _try_to_own(self) -> "_Owned | None":
        with self._electing:
            if self._owned is None and self._lock.try_acquire():
                try:
                    self._owned = _Owned(self)
                except BaseException:
                    self._lock.release()
                    raise
            return self._owned


class _Owned:
    """What only the owner has: the indexes, the models, and the door for the others."""

    def __init__(self, base: KnowledgeBase) -> None:
        self._base = base
        self._projections = Projections(base.catalogue, base.place / "projections")
        self._searcher = Searcher(base.catalogue, self._projections, base.folder, base._settings)
        self._warm = threading.Event()
        threading.Thread(target=self._warm_up, name="kb-models", daemon=True).start()
        self._serving = Serving(base.place, self.answer)

    def answer(self, asked: bytes) -> bytes:
        """Answer a question of this process or of another one."""
        try:
            read = json.loads(asked)
            match read["operation"]:
                case "search":
                    self._warm.wait(read["wait_s"])
                    return found_to_bytes(self._searcher.search(read["query"], read["top_k"], Filter(**read["filter"])))
                case "rebuild":
                    self._warm.wait(ELECTION_S)
                    self._projections.rebuild()
                case _:
                    self._warm.wait(ELECTION_S)
            return findings_to_bytes(self._projections.compare())
        except RetrievalError as error:
            return failure(error)

    def close(self) -> None:
        self._serving.close()
        self._projections.close()

    def _warm_up(self) -> None:
        """Load the models; they take seconds, and words can be searched meanwhile."""
        embedder, problem = self._base._open_embedder()
        try:
            if embedder is not None:
                self._projections.use_embedder(embedder.fingerprint, embedder.dimension)
                self._searcher.embedder = embedder
        except RetrievalError as error:
            problem = str(error)
        if problem is not None:
            logger.warning("only words can be searched: %s", problem)
            self._searcher.embedder_state = problem
        try:
            self._searcher.reranker, self._searcher.reranker_state = open_reranker(self._base._settings.reranker)
        except RetrievalError as error:
            self._searcher.reranker_state = f"reranker: skipped, {error}"
        self._warm.set()

"""A knowledge base as the rest of the program sees it: sync a folder, search it, verify, repair, from any process.

Whichever process comes first owns the projections and searches for all; the others ask it (`retrieval.owner.socket`).
Every process reads and writes the catalogue by itself, and the owner looks at it before each search, so that no
search, in whichever process, misses what the last sync wrote.
"""

import errno
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.asked_languages import AskedLanguages
from retrieval.catalogue.catalogue import Catalogue, CatalogueFull
from retrieval.catalogue.rows import FileRow
from retrieval.embedders.embedder import Embedder
from retrieval.embedders.open import open_embedder
from retrieval.errors import RetrievalError
from retrieval.index.projections import IndexComparison, Projections
from retrieval.locks import FileLock
from retrieval.owner.protocol import (
    failure,
    findings_from_bytes,
    findings_to_bytes,
    found_from_bytes,
    found_to_bytes,
    question,
    question_from_bytes,
)
from retrieval.owner.socket import NoOwner, OwnerSilent, Serving, ask
from retrieval.reading.kept_lines import KeptLines
from retrieval.reading.recipe import open_recipe
from retrieval.records import Chunk, Filter, Hit, Line, Region, SearchOutcome
from retrieval.regions.figures import figures_in
from retrieval.regions.locate import Cited as Placed
from retrieval.regions.locate import Located, Locator, PageView, Placement
from retrieval.search.full_text import FullText, full_text
from retrieval.search.named_documents import NamedDocuments
from retrieval.search.rerank import Reranker, is_generative, open_reranker, reranked
from retrieval.search.search import RERANKED, Searcher
from retrieval.search.verify import Cited, Verdict, verify
from retrieval.search.whole_document import WholeDocument, asked_whole
from retrieval.settings import RetrievalSettings
from retrieval.store import parse_store
from retrieval.sync.captions import Captioned, Captioner, make_captions
from retrieval.sync.figure_captions import make_figure_captions
from retrieval.sync.missing_vectors import Progress
from retrieval.sync.ray_ingestion import RayIngestion, RayWorkers
from retrieval.sync.sync import SyncReport, sync

if TYPE_CHECKING:
    from PIL import Image

    from retrieval.embedders.pictures import PictureEmbedder

logger = logging.getLogger(__name__)

NOT_KEPT = "the data folder is read-only: its indexes were made for this process alone, and it cannot be synced"
FULL = "the disk is full: documents are searched as they were indexed, and what is new is not; free some space"
NO_IMAGE_EMBEDDER = "image: what pictures look like is not compared, no image_embedder is set"
ELECTION_S = 10.0  # a dead owner's lock is free at once, but a new owner needs a moment to open the indexes
POLL_S = 0.05
ANSWER_S = 60.0
REPAIR_S = 3600.0


def catalogue_path(settings: RetrievalSettings, home: Path) -> Path:
    """Return where the catalogue of a folder lies, whether or not it can be opened."""
    folder = os.path.realpath(settings.kb)
    return home / "kb" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16] / "catalogue.sqlite"


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
        path = catalogue_path(settings, home)
        self.place = path.parent
        self.catalogue = Catalogue(path)
        self._recipe = open_recipe(settings)
        self._asked = AskedLanguages(self.place)
        self._names = NamedDocuments(self.catalogue)
        self._locator = Locator(self.catalogue, self.folder, self._recipe, KeptLines(self.place))
        self._lock = FileLock(self.place / "owner.lock")
        self._electing = threading.Lock()
        self._loading = threading.Lock()
        self._embedder: Embedder | None = None
        self._looks: PictureEmbedder | None = None
        self._owned: _Owned | None = None
        self._reranker: Reranker | None = None
        self._reranks_itself = is_generative(settings.reranker)

    def sync(
        self,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
        *,
        on_ray: RayWorkers | None = None,
        full: bool = False,
    ) -> SyncReport:
        """Bring the catalogue to where the folder is, with vectors where the embedder can be opened.

        Args:
            progress: As `retrieval.sync.sync.sync` wants it, and `cancel`.
            cancel: Set it to stop.
            on_ray: Read, split and embed on these workers; None does it in this process.
            full: Compare the bytes of every file, whatever its size and times say.

        Raises:
            FolderMissing: There is no such folder.
            CatalogueError: The catalogue cannot be written.
            RayMissing: There is no such package.
            RayFailed: The workers cannot be had, or died.
        """
        ingestion = None if on_ray is None else RayIngestion(on_ray, self._embedder_opener())
        embedder, problem = self._open_embedder()
        report = sync(
            self.catalogue, self.folder, embedder, self._recipe,
            progress=progress, cancel=cancel, leave_out=[self.place], ingestion=ingestion, full=full,
        )  # fmt: skip
        if problem is None:
            return report
        return replace(report, degraded=(*report.degraded, f"dense: indexed without vectors, {problem}"))

    def captions(self, captioner: Captioner, cancel: threading.Event | None = None) -> Generator[Captioned]:
        """Caption the pictures that have none, one at each step, then the figures of documents, a document a step.

        As `retrieval.sync.captions.make_captions`.
        """
        cancel, stopped = cancel or threading.Event(), False
        for make in (make_captions, partial(make_figure_captions, figures_in)):
            if stopped:
                return  # what made it end early would do so again
            for made in make(
                self.catalogue, self.folder, captioner, self._recipe, lambda: self._open_embedder()[0], cancel
            ):
                stopped = bool(made.problem) and made.done < made.total
                yield made

    def search(self, query: str, top_k: int = 5, wanted: Filter | None = None, *, wait_s: float = 0.0) -> SearchOutcome:
        """Search, here or in the process that owns the indexes.

        Args:
            query: The question.
            top_k: How many hits at most.
            wanted: Which passages may be found.
            wait_s: Seconds to wait for the embedder where it is still loading; without it words alone are searched.

        Raises:
            RetrievalError: The knowledge base cannot be searched.
        """
        named = (wanted is None or wanted.source is None) and bool(self.asked_whole(query))
        mine = None if named else self._reranker  # a document from its beginning is no ranking
        wide = max(top_k, RERANKED) if mine else top_k
        asked = question("search", query=query, top_k=wide, filter=asdict(wanted or Filter()), wait_s=wait_s)
        found = self._with_notes(found_from_bytes(self._answered(asked, ANSWER_S + wait_s)))
        if mine is not None:
            return reranked(found, query, mine, self._settings.rerank_budget_s, top_k)
        if self._reranks_itself and not named:
            return replace(found, degraded=(*found.degraded, "reranker: skipped, its model is not loaded here"))
        return found

    def asked_whole(self, question: str) -> tuple[WholeDocument, ...]:
        """Return the documents whose whole a question asks for, as for a summary; none where it asks for none."""
        found = asked_whole(self.catalogue, self.folder, self._names, question)
        return tuple(replace(one, notes=(*one.notes, *self._not_read([one.source]))) for one in found)

    def _with_notes(self, found: SearchOutcome) -> SearchOutcome:
        """Say of the files that were found what of them was not read."""
        unread = self._not_read(dict.fromkeys(hit.source for hit in found.hits))
        return replace(found, degraded=(*found.degraded, *unread)) if unread else found

    def _not_read(self, sources: Iterable[str]) -> list[str]:
        rows = [self.catalogue.file(source) for source in sources]
        return [
            f"{row.source}: {note}"
            for row in rows
            if row is not None and row.media_type != "image"
            for note in row.notes
            if "not read" in note or "could not be read" in note
        ]

    def use_reranker(self, reranker: Reranker) -> None:
        """Put what this process finds in the order of a reranker that lives in it, such as the chat model."""
        self._reranker = reranker

    def neighbours(self, hit: Hit, count: int = 1) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
        """Give as many chunks before and after a hit in its file, in order; they may overlap with it a little."""
        chunks = self.catalogue.chunks_in(hit.source)
        place = next((n for n, chunk in enumerate(chunks) if (chunk.id, chunk.start) == (hit.id, hit.start)), None)
        if place is None:  # the file has been synced anew since
            return (), ()
        return chunks[max(0, place - count) : place], chunks[place + 1 : place + 1 + count]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is indexed."""
        return self.catalogue.is_empty

    @property
    def document_names(self) -> tuple[str, ...]:
        """The paths of the indexed files."""
        return tuple(row.source for row in self.catalogue.files())

    def compare(self) -> list[IndexComparison]:
        """Compare the indexes with the catalogue."""
        return findings_from_bytes(self._answered(question("compare"), REPAIR_S))

    def rebuild(self) -> list[IndexComparison]:
        """Make the indexes anew from the catalogue, without embedding; returns how they compare then."""
        return findings_from_bytes(self._answered(question("rebuild"), REPAIR_S))

    def verify(self, cited: Cited, regions: Sequence[Region] = ()) -> Verdict:
        """Hold a citation, and the regions it was given with, against its file as it is now."""
        found = verify(self.catalogue, self.folder, cited, self._recipe)
        headings: tuple[str, ...] = getattr(cited, "headings", ())
        here = Placement(found.source, found.page, found.start, found.end, found.text, headings)
        now, status = self._locator.check(here, regions, found.status)
        return replace(found, regions=now, regions_status=status)

    def alike(
        self, image: "Image.Image", top_k: int = 5, wanted: Filter | None = None
    ) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
        """Return the pictures and figures that look most like an RGB picture, and what was not compared.

        As `retrieval.search.alike.look_alikes`; without an `image_embedder`, or where it is missing, only the note.
        """
        if self._settings.image_embedder is None:
            return (), (NO_IMAGE_EMBEDDER,)
        from retrieval.embedders.pictures import PictureEmbedder
        from retrieval.search.alike import look_alikes

        with self._loading:
            try:
                self._looks = self._looks or PictureEmbedder(self._settings.image_embedder)
            except RetrievalError as error:
                return (), (f"image: what pictures look like is not compared, {str(error).rstrip('.')}",)
        return look_alikes(self.catalogue, self.folder, self._looks, image, top_k, wanted, figures_in)

    def locate(self, cited: Placed, sha256: str | None = None) -> Located:
        """Return where on its page a passage stands, and the name of the nearest place; as `Locator.locate`."""
        return self._locator.locate(cited, sha256)

    def page_picture(self, source: str, page: int) -> "tuple[Image.Image, bool]":
        """Return a picture of a document's page, from 1, and whether its file has changed since it was indexed.

        Raises:
            PageMissing: There is none.
        """
        return self._locator.picture(source, page)

    def page_view(self, cited: Placed, *, always: bool = False) -> PageView | None:
        """Return what of a passage's page shows more than its words, as a picture; as `Locator.view`."""
        return self._locator.view(cited, always=always)

    def page_words(self, cited: Placed) -> tuple[Line, ...]:
        """Return the words of a passage's page with their places; as `Locator.words`."""
        return self._locator.words(cited)

    def full_text(self, row: FileRow) -> FullText:
        """Give the text of an indexed file, in which the positions of its passages count."""
        return full_text(self.catalogue, self.folder, row, self._recipe)

    @property
    def embedder_ready(self) -> bool:
        """Whether this process has the embedder in memory; one that asks the owner of the indexes need not."""
        return self._embedder is not None

    def unread_languages(self) -> dict[str, int]:
        """Count the passages that the embedder cannot read, by language; loads the embedder."""
        embedder, _ = self._open_embedder()
        return {} if embedder is None else self.catalogue.unread_languages(embedder.fingerprint)

    def asked_languages(self) -> dict[str, int]:
        """Count the questions that were asked in languages which the embedder does not know, by language."""
        embedder, _ = self._open_embedder()
        counts = self._asked.counts()
        return {one: n for one, n in counts.most_common() if embedder and not embedder.knows("", one)}

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

    def _embedder_opener(self) -> Callable[[], Embedder]:
        """Give what opens the embedder in another process, one of several on a machine."""
        return partial(open_embedder, self._settings.embedder, api_key=self._api_key, threads=1)

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
            if self._owned is None and (self.catalogue.read_only or self._lock.try_acquire()):
                try:
                    self._owned = _Owned(self)
                except OSError as error:
                    self._lock.release()
                    if error.errno == errno.ENOSPC or isinstance(error, shutil.Error):
                        raise CatalogueFull(self.catalogue.path) from error
                    raise
                except BaseException:
                    self._lock.release()
                    raise
            return self._owned


class _Owned:
    """What only the owner has: the indexes, the models, and the door for the others."""

    def __init__(self, base: KnowledgeBase) -> None:
        self._base = base
        catalogue = base.catalogue
        # Where nothing can be written beside the catalogue, each process has indexes of its own while it lasts.
        self._scratch = tempfile.TemporaryDirectory(prefix="lorgnette-") if catalogue.read_only else None
        self._note = FULL if catalogue.full else NOT_KEPT if catalogue.read_only else None
        folder = Path(self._scratch.name) if self._scratch else base.place / "projections"
        if self._scratch and catalogue.full and (base.place / "projections").exists():
            # Even to be read they want a little room, on another disk; there they need not be made anew.
            shutil.copytree(base.place / "projections", folder, dirs_exist_ok=True)
        self._projections = Projections(base.catalogue, folder, parse_store(base._settings.store))
        self._searcher = Searcher(base.catalogue, self._projections, base.folder, base._settings)
        self._searcher.on_unknown_language = base._asked.note
        self._warm = threading.Event()
        threading.Thread(target=self._warm_up, name="kb-models", daemon=True).start()
        self._serving = None if self._note else Serving(base.place, self.answer)

    def answer(self, asked: bytes) -> bytes:
        """Answer a question of this process or of another one."""
        try:
            read = question_from_bytes(asked)
            match read.operation:
                case "search":
                    self._warm.wait(read.wait_s)
                    found = self._searcher.search(read.query, read.top_k, read.filter)
                    if self._note:
                        found = replace(found, degraded=(*found.degraded, self._note))
                    return found_to_bytes(found)
                case "rebuild":
                    self._warm.wait(ELECTION_S)
                    self._projections.rebuild()
                case _:
                    self._warm.wait(ELECTION_S)
            return findings_to_bytes(self._projections.compare())
        except RetrievalError as error:
            return failure(error)

    def close(self) -> None:
        if self._serving is not None:
            self._serving.close()
        self._projections.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _warm_up(self) -> None:
        """Load the models; they take seconds, and words can be searched meanwhile."""
        embedder, problem = self._base._open_embedder()
        try:
            if embedder is not None:
                self._projections.use_embedder(embedder.fingerprint, embedder.dimension)
                self._searcher.use_embedder(embedder)
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

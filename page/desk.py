"""What every view of the page works with: the agent, the documents, the sessions and the files given to it.

It stands on `lorgnette`'s Python door and adds no way of asking; nothing here knows an element of a page.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.home import data_home
from graph.answer import Answer, Event, Summary, Turn
from graph.settings import Effort
from lorgnette.archive import SessionsOff, open_archive
from lorgnette.documents import Documents
from lorgnette.local_agent import LocalAgent
from lorgnette.settings import Settings
from mcp_server.progress import in_thread
from mcp_server.state.agent_loader import AgentLoader
from model.worker import asking
from page.library import Library
from page.pictures import Pictures, Shown
from page.preferences import Preferences
from page.runs import Runs
from page.shelf import ChangeModel, Models
from page.uploads import Uploads

if TYPE_CHECKING:
    from graph.archive import Archive
    from graph.session_store import SessionInfo
    from model.pictures.picture import Picture
    from retrieval.records import Filter, SearchOutcome

LOADING_S = 3600.0
"""So long a question waits for a model: it may be tens of gigabytes, and the page shows how far it is."""
HEARTBEAT_S = 0.5
EMBEDDER_S = 10.0
"""So long a search waits for the embedder."""


def uploads_folder() -> Path:
    """Return where files are kept that were given to the page."""
    return data_home() / "page" / "uploads"


@dataclass(frozen=True)
class Asked:
    """A question as the page asks it."""

    text: str
    sources: tuple[str, ...] = ()
    session_id: str | None = None
    effort: Effort | None = None
    use_documents: bool = True


@dataclass(frozen=True)
class Loading:
    """The model is not there yet."""

    phase: str
    share: float


@dataclass(frozen=True)
class Looked:
    """The pictures that the question is about, by whose numbers its boxes count."""

    pictures: tuple[Shown, ...]


News = Event | Answer | Loading | Looked


class Desk:
    """One for all tabs of a server."""

    def __init__(
        self, settings: Settings, documents: Documents, loader: AgentLoader, change_model: ChangeModel | None = None
    ) -> None:
        """Open nothing yet.

        Args:
            settings: Of the server.
            documents: Of the server.
            loader: Has the agent.
            change_model: Lets another model answer; None where the server keeps its own.
        """
        self.settings, self.documents, self.loader = settings, documents, loader
        self.pictures, self.library = Pictures(), Library(documents)
        self.models, self.runs = Models(settings, loader, change_model), Runs()
        self.uploads = Uploads(uploads_folder())
        self.preferences = Preferences(data_home() / "page" / "preferences.json")
        self._opening = threading.Lock()
        self._archive: Archive | None = None

    async def ask(self, asked: Asked, who: str) -> AsyncIterator[News]:
        """Yield what happens while a question is answered, and at last the answer; closing it stops the work.

        Raises:
            LorgnetteError: The question, a picture or the model; its text says what to do.
        """
        waiting = asyncio.ensure_future(self.loader.agent(LOADING_S))
        try:
            while not (await asyncio.wait({waiting}, timeout=HEARTBEAT_S))[0]:
                _, phase, share = self.loader.state()
                yield Loading(phase, share)
            opened = waiting.result()
        finally:
            waiting.cancel()
        door = LocalAgent(self.settings, open_agent=lambda _settings, _progress: opened, documents=self.documents)
        news: asyncio.Queue[News | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(one: News) -> None:
            loop.call_soon_threadsafe(news.put_nowait, one)

        def looked(pictures: "Sequence[Picture]", first: int) -> None:
            shown = [self.pictures.of_picture(picture) for picture in pictures[first:]]
            tell(Looked(tuple(one for one in shown if one is not None)))

        def work(cancel: threading.Event) -> Answer:
            return door.ask(
                asked.text, asked.sources, on_event=tell, on_pictures=looked, cancel=cancel,
                session_id=asked.session_id, effort=asked.effort, use_knowledge=asked.use_documents,
            )  # fmt: skip

        asking.set(f"page {who}")
        answering = asyncio.ensure_future(in_thread(work))
        answering.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (one := await news.get()) is not None:
                yield one
            yield answering.result()
        finally:
            answering.cancel()

    def sessions(self) -> "list[SessionInfo]":
        """Return all sessions, the latest first; none where they are not kept."""
        archive = self._opened()
        return [] if archive is None else archive.sessions.infos()

    def turns(self, session_id: str) -> list[Turn]:
        """Return a session's questions and answers, the oldest first."""
        archive = self._opened()
        return [] if archive is None else archive.sessions.turns(session_id)

    def rename(self, session_id: str, title: str) -> None:
        """Give a session a name."""
        self._required().sessions.rename(session_id, title)

    def delete(self, session_id: str) -> None:
        """Forget a session, and what was given to the page for it alone."""
        archive = self._required()
        gone = [Path(seen.path) for turn in self.turns(session_id) for seen in turn.images]
        archive.sessions.delete(session_id)
        used = self._used_paths()
        for path in gone:
            if str(path) not in used:
                self.uploads.remove(path)

    def save_summary(self, session_id: str, title: str | None = None) -> Summary:
        """Write a session as a Markdown file."""
        door = LocalAgent(self.settings, documents=self.documents)
        return door.save_summary(session_id, title)

    def search(self, query: str, top_k: int, wanted: "Filter") -> "SearchOutcome":
        """Search the documents."""
        return self.documents.required().search(query, top_k, wanted, wait_s=EMBEDDER_S)

    def tidy(self) -> None:
        """Remove files that no session needs any more."""
        self.uploads.remove_left(self._used_paths())

    def close(self) -> None:
        """Close the sessions."""
        with self._opening:
            if self._archive is not None:
                self._archive.sessions.close()

    def _opened(self) -> "Archive | None":
        """Return the sessions, opened with their first use: what keeps them takes as long to import as the page."""
        with self._opening:
            if self._archive is None:
                self._archive = open_archive(self.settings)
            return self._archive

    def _required(self) -> "Archive":
        archive = self._opened()
        if archive is None:
            raise SessionsOff
        return archive

    def _used_paths(self) -> set[str]:
        return {seen.path for info in self.sessions() for turn in self.turns(info.id) for seen in turn.images}

"""The agent as Python programs have it: ask, follow, search, save; everything opens with its first use."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from graph.answer import Answer, Event, Summary
from graph.question import Question, QuestionOptions
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from lorgnette.archive import required_archive
from lorgnette.background import Background
from lorgnette.documents import Documents
from lorgnette.model_sharing.handover import hand_over
from lorgnette.opening import LoadProgress, OpenAgent, open_served_agent, use_named_reranker
from lorgnette.search_source import named_source
from lorgnette.settings import Settings
from model.pictures.limits import ONE
from model.pictures.source import tidied

if TYPE_CHECKING:
    from typing import Unpack

    from retrieval.records import SearchOutcome

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class LocalAgent:
    """One model, one folder of documents and the kept conversations, for one program; safe to use from threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        open_agent: OpenAgent | None = None,
        progress: LoadProgress | None = None,
        may_hand_over: bool = False,
        documents: Documents | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            settings: As `lorgnette.settings.load_settings` reads them.
            open_agent: Loads the agent; None loads the real one.
            progress: Hears of the loading: its phase, and its share from 0 to 1.
            may_hand_over: Whether a running server with the same settings may answer, so that nothing is loaded here.
            documents: Those of the settings, if they are used elsewhere in this process too.
        """
        self.settings = settings
        self._documents = documents or Documents(settings)
        self._open = open_agent or partial(open_served_agent, documents=self._documents)
        self._progress: LoadProgress = progress or (lambda phase, share: None)
        self._opening = threading.Lock()
        self._agent: ServedAgent | None = None
        self._reranks = False
        self._hands_over = may_hand_over and open_agent is None

    def __enter__(self) -> "LocalAgent":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self,
        question: str,
        images: Sequence[str | Path] = (),
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
        **options: "Unpack[QuestionOptions]",
    ) -> Answer:
        """Answer a question about the pictures and the documents.

        Args:
            question: In the user's words.
            images: Paths, relative ones from the working folder, or `data:` URLs.
            on_event: Hears of each node while it works, on this thread.
            on_pictures: Gets the opened pictures once, and the number of the first that came with this question.
            cancel: Set it from another thread to stop within one token.
            options: The other fields of `graph.question.Question`.

        Raises:
            LorgnetteError: The question, a picture or the model; its text says what to do.
        """
        sources = tuple(self._source(image) for image in images)
        asked = Question(question, sources, **options)
        if self._hands_over and self._agent is None and on_pictures is None:
            handed = hand_over(self.settings, asked, on_event=on_event, progress=self._progress, cancel=cancel)
            if handed is not None:
                return handed
        from graph.sight import open_pictures

        # A mistyped path is told before minutes of loading; one frame or page of each tells it.
        open_pictures(sources, self.settings, sampling=ONE)
        return self._served().answer(asked, on_event=on_event, on_pictures=on_pictures, cancel=cancel)

    def open(self) -> None:
        """Load the model now and not with the first question, so that its failing is told apart from a question's.

        Raises:
            ModelError: The model is missing, broken, or does not fit.
        """
        self._served()

    def stream(
        self, question: str, images: Sequence[str | Path] = (), **options: "Unpack[QuestionOptions]"
    ) -> Iterator[Event | Answer]:
        """Yield what happens while the question is answered, and at last the answer; who stops reading stops the work.

        Raises:
            LorgnetteError: As `ask`.
        """

        def work(job: Background[Event, Answer]) -> Answer:
            return self.ask(question, images, on_event=job.tell, cancel=job.cancel, **options)

        with Background(work) as job:
            yield from job.follow()
            yield job.result()

    def search(
        self, query: str, top_k: int = 5, source: str | None = None, image: str | Path | None = None
    ) -> "SearchOutcome":
        """Search the documents; needs no model, unless the settings name one as the reranker.

        Args:
            query: A question or keywords.
            top_k: Hits at most.
            source: Only this file or folder; `*` and `?` as in a shell.
            image: Search for what this picture shows, too: the words in it and, where a model of this agent describes
                pictures (`captions`) and is loaded, what it says.

        Raises:
            ImageError, PictureSaysNothing: The picture is of no use.
            SourceUnknown: No indexed file is meant by `source`.
            NoDocuments: There is no such folder.
            RetrievalError: The documents cannot be opened or searched.
        """
        from graph.agent import EMBEDDER_S
        from graph.model_captioner import wants_captions
        from lorgnette.picture_query import picture_query, search_with_picture
        from retrieval.records import Filter

        base = self._documents.required()
        with self._opening:
            if not self._reranks and self._agent is None:
                use_named_reranker(base, self.settings)
            self._reranks = True
        if source is not None:
            source = named_source(source, base.document_names, self.settings.kb)
        wanted = Filter(source=source)
        if image is None:
            return base.search(query, top_k, wanted, wait_s=EMBEDDER_S)
        agent = self._agent
        captioner = agent.captioner if agent is not None and wants_captions(self.settings) else None
        asked = picture_query(self._source(image), query, self.settings.roots, captioner)
        return search_with_picture(base, asked, top_k, wanted, wait_s=EMBEDDER_S)

    def save_summary(self, session_id: str, title: str | None = None) -> Summary:
        """Write a conversation as a new Markdown file.

        Raises:
            SessionsOff, SessionMissing, ReportsOff, ReportNotWritten, SessionStoreFailed: Nothing was written.
        """
        return required_archive(self.settings).summarize(session_id, title)

    def close(self) -> None:
        """Free the model and let other processes own the index; a later question opens both again."""
        with self._opening:
            agent, self._agent, self._reranks = self._agent, None, False
            close = getattr(agent.chat, "close", None) if agent is not None else None
            if close is not None:
                with suppress(RuntimeError):
                    close()
        self._documents.close()

    def _served(self) -> ServedAgent:
        with self._opening:
            if self._agent is None or self._agent.is_lost():
                self._agent = self._open(self.settings, self._progress)
            return self._agent

    def _source(self, image: str | Path) -> str:
        """Take a relative path from the working folder, as every program does; the agent would from the first root."""
        here, text = Path.cwd(), tidied(str(image))
        return text if _ADDRESS.match(text) or self.settings.roots[0] == here else str(here / text)

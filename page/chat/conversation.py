"""The chat: one conversation, its questions one after the other, and the composer below. The agent answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress

from nicegui import background_tasks, ui

from common.errors import LorgnetteError
from graph.answer import Answer, Event, Turn
from graph.settings import Effort
from model.errors import Cancelled
from page.chat.composer import Attached, Composer
from page.chat.turn_view import TurnActions, TurnView
from page.cited import Place
from page.desk import Asked, Desk
from page.elements import tell, told, words_of
from page.picture_view import Region
from page.pictures import Shown
from page.place_view import show_place
from page.shelf import Other
from page.words import Language, Say

logger = logging.getLogger(__name__)

WRITE_S = 0.04
"""Words that come faster are shown together: each showing renders the whole answer anew."""
SEEN_AGAIN = 8
"""Pictures of earlier questions that a question without any is about (`graph.agent`)."""


class Chat:
    """One tab's conversation."""

    def __init__(
        self, desk: Desk, say: Say, language: Language, changed: Callable[[str | None], Awaitable[None]]
    ) -> None:
        """Draw nothing yet.

        Args:
            desk: What all tabs share.
            say: The page's texts, in `language`.
            language: Of the page.
            changed: Told which session is shown, and when it has got a question.
        """
        self._desk, self._say, self._language, self._changed = desk, say, language, changed
        self.session_id: str | None = None
        self._client = ui.context.client
        self._working: asyncio.Task[None] | None = None
        self._seen: list[Shown] = []
        self._sources: dict[int, tuple[str, ...]] = {}
        self._answered: list[TurnView] = []
        self._actions = TurnActions(
            self._show_place, self._ask_region, self._ask_again, self._other_models, self._ask_model
        )

    def draw(self) -> None:
        """Draw the questions where the caller is."""
        self._column = ui.column().classes("lo-column gap-4 lo-conversation")
        self._column.props("role=log aria-live=polite")
        self._draw_welcome()

    def draw_composer(self) -> None:
        """Draw the lower end where the caller is."""
        self.composer = Composer(self._desk, self._say, self.send, self.stop)

    async def open(self, session_id: str | None) -> None:
        """Show another conversation, None a new one; what is being answered is not stopped."""
        with told(self._say):
            turns = await asyncio.to_thread(self._desk.turns, session_id) if session_id else []
            self.session_id = session_id if turns else None
            self._working = None
            self.composer.set_busy(False)
            self._seen.clear()
            self._sources.clear()
            self._answered.clear()
            self._column.clear()
            self._draw_welcome()
            with self._column:
                for turn in turns:
                    await self._show_again(turn)
            await self._changed(self.session_id)
            self._to_end()

    async def send(self) -> None:
        """Ask what is written."""
        text, attached = self.composer.text, tuple(self.composer.attached)
        if not text:
            return
        effort: Effort = self.composer.effort.value
        self.composer.clear()
        await self._ask(text, attached, effort)

    def stop(self) -> None:
        """Stop what is being answered."""
        if self._working is not None:
            self._working.cancel()

    async def _ask(self, text: str, attached: Sequence[Attached], effort: Effort) -> None:
        sources = tuple(one.source for one in attached)
        view = self._new_view(text, [one.shown for one in attached], sources)
        asked = Asked(text, sources, self.session_id, effort, self.composer.uses_documents)
        self._start(view, asked)

    def _start(self, view: TurnView, asked: Asked) -> None:
        self.composer.set_busy(True)
        self._working = background_tasks.create(self._answer(view, asked), name="answer")
        self._to_end()

    def _new_view(self, text: str, pictures: Sequence[Shown], sources: tuple[str, ...]) -> TurnView:
        self._welcome.set_visibility(False)
        with self._column:
            view = TurnView(text, pictures, self._say, self._language, self._actions)
        self._sources[id(view)] = sources
        return view

    async def _answer(self, view: TurnView, asked: Asked) -> None:
        own = asyncio.current_task()
        writing = asyncio.ensure_future(self._write(view))
        try:
            async with aclosing(self._desk.ask(asked, self._client.id)) as news:  # type: ignore[type-var]
                async for one in news:
                    if self._client.is_deleted:
                        continue  # the tab is closed; the session remembers the answer
                    if isinstance(one, Answer):
                        self._answered.append(view)
                        view.finish(one)
                        await self._remember(one, own)
                    else:
                        view.hear(one)
                        if isinstance(one, Event) and one.kind == "text":
                            if not view.text:
                                view.write()  # the first word waits for no others
                            await asyncio.sleep(0)
        except (asyncio.CancelledError, Cancelled):
            self._fail(view, self._say("stopped"), stopped=True)
        except LorgnetteError as error:
            self._fail(view, words_of(error, self._say))
        except Exception as error:  # the page's edge: the user gets a sentence, the log the rest
            self._fail(view, words_of(error, self._say))
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            if self._working is own and not self._client.is_deleted:
                self._working = None
                self.composer.set_busy(False)
                self._to_end()

    async def _remember(self, answer: Answer, own: "asyncio.Task[None] | None") -> None:
        if self._working is own:  # the user has not gone on to another conversation
            self.session_id = answer.session_id
            await self._changed(self.session_id)

    async def _write(self, view: TurnView) -> None:
        """Show the words as they come."""
        while not self._client.is_deleted:
            view.write()
            await asyncio.sleep(WRITE_S)

    def _fail(self, view: TurnView, text: str, *, stopped: bool = False) -> None:
        if not self._client.is_deleted:
            view.fail(text, stopped=stopped)

    async def _show_again(self, turn: Turn) -> None:
        pictures = [self._desk.pictures.of_seen(seen) for seen in turn.images]
        view = self._new_view(turn.question, pictures, tuple(shown.source for shown in pictures))
        looked = pictures or self._seen[-SEEN_AGAIN:]
        self._seen += pictures
        measured = [await asyncio.to_thread(self._measured, one) for one in looked] if turn.answer.boxes else []
        self._answered.append(view)
        view.finish(turn.answer, measured)

    def _measured(self, shown: Shown) -> Shown:
        try:
            return self._desk.pictures.measured(shown)
        except LorgnetteError:
            return shown  # it is gone; its place in the numbering stays

    async def _show_place(self, place: Place) -> None:
        await show_place(place, self._desk, self._say)

    def _ask_region(self, shown: Shown, region: Region) -> None:
        self.composer.attach(Attached(shown, region))

    async def _ask_again(self, view: TurnView, effort: Effort) -> None:
        if self.composer.busy:
            return
        sources = self._sources.get(id(view), ())
        again = self._new_view(view.question, view.pictures, sources)
        self._start(again, Asked(view.question, sources, self.session_id, effort, self.composer.uses_documents))

    async def ask_again_as_written(self, number: int) -> None:
        """Ask a question of this conversation again, as after a start with another model."""
        if number < len(self._answered):
            await self._ask_again(self._answered[number], self.composer.effort.value)

    async def _other_models(self) -> list[str]:
        models = self._desk.models
        kept = models.can_change and self.session_id is not None  # else nobody knows the question after the start
        return await asyncio.to_thread(models.here) if kept else []

    async def _ask_model(self, view: TurnView, model: str) -> None:
        """Start with another model, and ask in the conversation that the address names then."""
        with told(self._say):
            number = self._answered.index(view)
            tell(self._say("starting_again", name=model))
            await ui.run_javascript(f"lorgnette.keep('again', {number})")
            await asyncio.to_thread(self._desk.models.change, Other(model))

    def _draw_welcome(self) -> None:
        with self._column:
            self._welcome = ui.label(self._say("welcome")).classes("text-h6 lo-note lo-welcome q-mt-xl")

    def _to_end(self) -> None:
        with self._column:
            ui.run_javascript("setTimeout(() => window.scrollTo(0, document.body.scrollHeight), 60)")

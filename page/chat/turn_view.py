"""One question with its answer: the words as they come, and then what they rest on.

The same view shows a question that is being answered and one that a session remembers.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nicegui import background_tasks, ui

from common.safe_text import printable
from graph.answer import Answer, Box, Citation, Event
from graph.settings import Effort
from page.chat.again_menu import AgainMenu
from page.chat.notes import as_sentence
from page.cited import Place
from page.desk import Loading, Looked, News
from page.elements import icon_button
from page.picture_view import PictureView, Region, show_large
from page.pictures import Shown
from page.words import Language, Say

EXTRAS = ["fenced-code-blocks", "tables", "strike", "task_list"]


@dataclass(frozen=True)
class TurnActions:
    """What the user can do with a question and its answer; the chat does it."""

    show_place: Callable[[Place], Awaitable[None]]
    ask_region: Callable[[Shown, Region], None]
    ask_again: Callable[["TurnView", Effort], Awaitable[None]]
    models: Callable[[], Awaitable[list[str]]]
    """Others on this machine that could answer."""
    ask_model: Callable[["TurnView", str], Awaitable[None]]


class TurnView:
    """It draws itself where it is made."""

    def __init__(
        self, question: str, pictures: Sequence[Shown], say: Say, language: Language, actions: TurnActions
    ) -> None:
        """Show the question.

        Args:
            question: In the user's words.
            pictures: That came with it, not opened yet.
            say: The page's texts, in `language`.
            language: Of the page.
            actions: What its buttons do.
        """
        self.question, self.pictures = question, tuple(pictures)
        self._say, self._language, self._actions = say, language, actions
        self._looked: tuple[Shown, ...] = ()
        self._steps: list[Event] = []
        self._said = ""
        self.text = ""
        """The answer as it is shown."""
        with ui.column().classes("lo-mine gap-1"):
            ui.label(printable(question)).classes("lo-words").props(f'aria-label="{say("you")}"')
            self._thumbnails()
        with ui.column().classes("lo-answer gap-2") as self._answer:
            self._status = ui.row().classes("items-center gap-2 lo-status").props("role=status")
            with self._status:
                ui.spinner(size="sm")
                self._doing = ui.label(say("beginning")).classes("lo-note")
            with ui.expansion(say("thinking"), icon="psychology").classes("w-full") as self._thinking:
                self._thought = ui.label("").classes("lo-words lo-note")
            self._thinking.set_visibility(False)
            self._markdown = ui.markdown("", extras=EXTRAS).classes("w-full lo-text")
            self._below = ui.column().classes("w-full gap-2")

    def hear(self, news: News) -> None:
        """Show what is new, at once but for the answer itself."""
        match news:
            case Loading():
                self._doing.text = self._say("loading", phase=news.phase, percent=round(100 * news.share))
            case Looked():
                self._looked = news.pictures
            case Event():
                self._hear_event(news)

    def write(self) -> None:
        """Show the words that have come."""
        if self.text != self._said:
            self.text = self._said
            self._markdown.content = printable(self._said)

    def finish(self, answer: Answer, looked: Sequence[Shown] | None = None) -> None:
        """Show the answer and what it rests on.

        Args:
            answer: All of it.
            looked: The pictures that its boxes count, measured; None takes those that were looked at.
        """
        pictures = self._looked if looked is None else tuple(looked)
        self._end(answer.answer)
        with self._below:
            self._boxes(answer.boxes, pictures)
            self._citations(answer.citations)
            if answer.truncated:
                ui.label(self._say("truncated")).classes("text-warning")
            self._notes(answer.degraded)
            self._plan(answer)
            self._review(answer)
            self._buttons(answer)

    def fail(self, text: str, *, stopped: bool = False) -> None:
        """Show why there is no answer; the words that came stay."""
        self._end(self._said)
        with self._below:
            ui.label(text).classes("lo-words" if stopped else "lo-words text-negative").props("role=alert")
            self._buttons(None)

    def _hear_event(self, event: Event) -> None:
        say = self._say
        match event.kind:
            case "start":
                self._doing.text = say(event.node)
                if event.node == "responder":
                    self._said = ""
            case "queue":
                self._doing.text = say("queued", count=event.position)
            case "text":
                self._said += event.text
            case "withdrawn":
                self._said = ""
            case "thinking":
                self._thinking.set_visibility(True)
                self._thought.text += printable(event.text)
            case "end":
                self._steps.append(event)

    def _end(self, text: str) -> None:
        self._said = text
        self.write()
        self._status.set_visibility(False)

    def _thumbnails(self) -> None:
        if not self.pictures:
            return
        with ui.row().classes("gap-1"):
            for shown in self.pictures:
                name = printable(shown.name) or self._say("picture")
                button = ui.button(on_click=lambda shown=shown: self._large(shown)).props("flat dense padding=none")
                button.props["aria-label"] = self._say("show_picture", name=name)
                with button:
                    ui.image(shown.url).classes("lo-thumb").props["alt"] = name
                    ui.tooltip(name)

    def _large(self, shown: Shown) -> None:
        background_tasks.create(self._show_large(shown))

    async def _show_large(self, shown: Shown) -> None:
        measured = next((one for one in self._looked if one.url == shown.url), shown)
        with self._answer:
            if measured.width:
                show_large(measured, [], self._say, self._actions.ask_region)
            else:
                ui.image(shown.url)

    def _boxes(self, boxes: Sequence[Box], pictures: Sequence[Shown]) -> None:
        for number in sorted({box.image for box in boxes}):
            if number < len(pictures) and pictures[number].width:
                own = [box for box in boxes if box.image == number]
                PictureView(pictures[number], own, self._say, self._actions.ask_region)

    def _citations(self, citations: Sequence[Citation]) -> None:
        if not citations:
            return
        title = self._say("evidence", count=len(citations))
        with ui.expansion(title, icon="menu_book", value=True).classes("w-full lo-evidence"):
            for number, citation in enumerate(citations, 1):
                self._citation(number, citation)

    def _citation(self, number: int, citation: Citation) -> None:
        say = self._say
        place = Place(
            citation.source, citation.page, citation.start, citation.end, citation.quote, f"{self.question} {self.text}"
        )
        source = printable(citation.source)
        page = f", {say('page_number', page=citation.page)}" if citation.page is not None else ""
        button = ui.button(f"[{number}] {source}{page}", on_click=lambda: self._actions.show_place(place))
        button.props("flat dense no-caps align=left icon=find_in_page")
        button.props["aria-label"] = say("open_page", number=number, source=f"{source}{page}")
        ui.label(printable(citation.quote)).classes("lo-quote")
        if citation.weak:
            ui.label(say("weak")).classes("text-caption text-warning")

    def _notes(self, notes: Sequence[str]) -> None:
        if not notes:
            return
        with ui.expansion(self._say("notes", count=len(notes)), icon="info").classes("w-full lo-notes"):
            for note in notes:
                ui.label(as_sentence(printable(note), self._language)).classes("lo-note")

    def _plan(self, answer: Answer) -> None:
        if answer.plan is None:
            return
        with ui.expansion(self._say("plan"), icon="checklist").classes("w-full lo-plan"):
            for step in answer.plan.steps or [self._say("no_steps")]:
                ui.label(f"• {printable(step)}")
            if answer.plan.queries:
                ui.label(self._say("searched_for", queries=", ".join(map(printable, answer.plan.queries))))

    def _review(self, answer: Answer) -> None:
        say, usage = self._say, answer.usage
        with ui.expansion(say("review"), icon="fact_check").classes("w-full lo-review"):
            if answer.review is None:
                ui.label(say("not_reviewed"))
            else:
                feedback = printable(answer.review.feedback)
                said = {"PASS": say("passed"), "RETRY": say("doubtful", feedback=feedback)}
                ui.label(said.get(answer.review.verdict or "", say("not_judged")))
                if answer.review.rewrites:
                    ui.label(say("rewritten"))
            if self._steps:
                self._timings()
            ui.label(say("total", seconds=f"{usage.seconds:.1f}", read=usage.prefill_tokens, cached=usage.cached_tokens,
                         new=usage.new_tokens))  # fmt: skip
            adapter = f" + {answer.model.adapter}" if answer.model.adapter else ""
            ui.label(printable(f"{answer.model.name}{adapter} ({answer.model.quantization})")).classes("text-caption")

    def _timings(self) -> None:
        say = self._say
        columns = [
            {"name": name, "label": say(name), "field": name, "align": "left"} for name in ("step", "seconds", "tokens")
        ]
        rows = [
            {
                "step": say(event.node), "seconds": f"{event.seconds:.2f}",
                "tokens": f"{event.read_tokens} / {event.cached_tokens} / {event.new_tokens}",
            }
            for event in self._steps
        ]  # fmt: skip
        ui.table(columns=columns, rows=rows).classes("w-full").props("flat dense hide-pagination")

    def _buttons(self, answer: Answer | None) -> None:
        with ui.row().classes("gap-1"):
            if answer is not None:
                icon_button("content_copy", self._say("copy"), self._copy)
            AgainMenu(
                self._say,
                lambda effort: self._actions.ask_again(self, effort),
                None if answer is None else self._actions.models,
                lambda model: self._actions.ask_model(self, model),
            )

    def _copy(self) -> None:
        ui.clipboard.write(self.text)
        ui.notify(self._say("copied"))

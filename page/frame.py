"""The frame around all views: header with its tabs, the list of conversations, language and colours."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from nicegui import ui

from page.chat.conversation import Chat
from page.chat.session_list import SessionList
from page.desk import Desk
from page.elements import icon_button
from page.words import Language, Say, language_of, speaker

HERE = Path(__file__).parent
COLOURS: dict[str, bool | None] = {"auto": None, "light": False, "dark": True}
ICONS = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}
NEXT: dict[str, Literal["auto", "light", "dark"]] = {"auto": "light", "light": "dark", "dark": "auto"}
LISTED_S, DRAWN_S = 0.1, 0.3
VIEWS = {"chat": "chat", "documents": "menu_book", "models": "memory", "school": "school"}


async def show_frame(desk: Desk, session_id: str | None, view: str, again: int | None = None) -> None:
    """Draw the page for one tab.

    Args:
        desk: What all tabs share.
        session_id: The conversation that is gone on with.
        view: The tab that is shown first.
        again: Number of the conversation's question that is asked again at once, from 0; None asks none.
    """
    language = _language(desk)
    say = speaker(language)
    _head(language)
    dark = ui.dark_mode(COLOURS[desk.preferences.chosen.colours])
    frame = _Frame(desk, language, dark)
    with ui.header().classes("items-center no-wrap q-py-none q-px-sm"):
        menu = icon_button("menu", say("conversations")).props("color=white")
        ui.label("Lorgnette").classes("text-subtitle1 lo-wide")
        first = view if view in VIEWS else "chat"
        with ui.tabs().classes("col-grow").props("dense inline-label no-caps") as tabs:
            tabs.props["aria-label"] = say("views")
            for name, icon in VIEWS.items():
                ui.tab(name, say(name), icon=None).props(f'icon={icon} aria-label="{say(name)}"')
        frame.colours_button = icon_button(
            ICONS[desk.preferences.chosen.colours], say("colours"), frame.change_colours
        ).props("color=white")
        other = ui.button(say("language"), on_click=frame.change_language).props("flat dense no-caps color=white")
        other.props["aria-label"] = say("language_label")
    chat = Chat(desk, say, language, frame.show_session)
    with ui.left_drawer(value=None).props(f'breakpoint=900 bordered aria-label="{say("conversations")}"') as drawer:
        frame.sessions = SessionList(desk, say, chat.open)
    menu.on_click(drawer.toggle)
    with ui.tab_panels(tabs, value=first, animated=False, keep_alive=True).classes("w-full"):
        with ui.tab_panel("chat").classes("q-pa-none"):
            chat.draw()
        for name in VIEWS:
            if name != "chat":
                with ui.tab_panel(name).classes("q-pa-none"):
                    frame.places[name] = ui.column().classes("w-full")
    tabs.on_value_change(lambda event: frame.show_view(str(event.value)))
    with ui.footer().classes("q-pa-none lo-footer").props("bordered") as footer:
        chat.draw_composer()
    footer.bind_visibility_from(tabs, "value", lambda value: value == "chat")
    if session_id is not None:
        await chat.open(session_id)
    else:
        # behind the page: what keeps conversations takes longer to import than the page to be drawn
        ui.timer(LISTED_S, lambda: frame.sessions.refresh(chat.session_id), once=True)
    await frame.show_view(first)
    ui.timer(DRAWN_S, desk.loader.handshake_done, once=True)  # its time begins when the browser has the page
    if again is not None:
        ui.timer(0, lambda: chat.ask_again_as_written(again), once=True)


class View(Protocol):
    """What a tab other than the chat shows."""

    async def refresh(self) -> None:
        """Read what is new."""


def _view(name: str, desk: Desk, say: Say) -> View:
    from page.documents_view import DocumentsView
    from page.models.models_view import ModelsView
    from page.school.school_view import SchoolView

    makers: dict[str, Callable[[Desk, Say], View]] = {
        "documents": DocumentsView, "models": ModelsView, "school": SchoolView,
    }  # fmt: skip
    return makers[name](desk, say)


class _Frame:
    """What the header's buttons change."""

    sessions: SessionList
    colours_button: ui.button

    def __init__(self, desk: Desk, language: Language, dark: ui.dark_mode) -> None:
        self._desk, self._language, self._dark = desk, language, dark
        self._client = ui.context.client
        self.places: dict[str, ui.column] = {}
        self._views: dict[str, View] = {}

    def change_colours(self) -> None:
        colours = NEXT[self._desk.preferences.chosen.colours]
        self._desk.preferences.change(colours=colours)
        self._dark.value = COLOURS[colours]
        self.colours_button.props(f"icon={ICONS[colours]}")

    def change_language(self) -> None:
        self._desk.preferences.change(language="zh" if self._language == "en" else "en")
        ui.navigate.reload()

    async def show_view(self, name: str) -> None:
        """Draw a view when it is shown first, and let it read what is new whenever it is shown."""
        if name in self.places:
            if name not in self._views:
                with self.places[name]:
                    self._views[name] = _view(name, self._desk, speaker(self._language))
            await self._views[name].refresh()

    async def show_session(self, session_id: str | None) -> None:
        self._client.run_javascript(f"lorgnette.session({json.dumps(session_id)})")
        await self.sessions.refresh(session_id)


def _language(desk: Desk) -> Language:
    chosen = desk.preferences.chosen.language
    if chosen != "auto":
        return chosen
    request = ui.context.client.request
    return language_of(request.headers.get("accept-language", "") if request is not None else "")


def _head(language: Language) -> None:
    tag = "zh-CN" if language == "zh" else "en"
    ui.add_head_html(f"<style>{(HERE / 'page.css').read_text('utf-8')}</style>")
    ui.add_head_html(
        f"<script>{(HERE / 'page.js').read_text('utf-8')}\ndocument.documentElement.lang = '{tag}';</script>"
    )

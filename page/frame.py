"""The frame around all views: header with its tabs, the list of conversations, language and colours."""

import json
from pathlib import Path
from typing import Literal

from nicegui import ui

from page.chat.conversation import Chat
from page.chat.session_list import SessionList
from page.desk import Desk
from page.elements import icon_button
from page.words import Language, language_of, speaker

HERE = Path(__file__).parent
COLOURS: dict[str, bool | None] = {"auto": None, "light": False, "dark": True}
ICONS = {"auto": "brightness_auto", "light": "light_mode", "dark": "dark_mode"}
NEXT: dict[str, Literal["auto", "light", "dark"]] = {"auto": "light", "light": "dark", "dark": "auto"}
VIEWS = {"chat": "chat"}


async def show_frame(desk: Desk, session_id: str | None, view: str) -> None:
    """Draw the page for one tab.

    Args:
        desk: What all tabs share.
        session_id: The conversation that is gone on with.
        view: The tab that is shown first.
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
    with (
        ui.tab_panels(tabs, value=first, animated=False).classes("w-full") as panels,
        ui.tab_panel("chat").classes("q-pa-none"),
    ):
        chat.draw()
    panels.props["keep-alive"] = True
    with ui.footer().classes("q-pa-none lo-footer").props("bordered") as footer:
        chat.draw_composer()
    footer.bind_visibility_from(tabs, "value", lambda value: value == "chat")
    await chat.open(session_id)


class _Frame:
    """What the header's buttons change."""

    sessions: SessionList
    colours_button: ui.button

    def __init__(self, desk: Desk, language: Language, dark: ui.dark_mode) -> None:
        self._desk, self._language, self._dark = desk, language, dark
        self._client = ui.context.client

    def change_colours(self) -> None:
        colours = NEXT[self._desk.preferences.chosen.colours]
        self._desk.preferences.change(colours=colours)
        self._dark.value = COLOURS[colours]
        self.colours_button.props(f"icon={ICONS[colours]}")

    def change_language(self) -> None:
        self._desk.preferences.change(language="zh" if self._language == "en" else "en")
        ui.navigate.reload()

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

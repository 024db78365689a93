"""The list of conversations: begin one, go on with one, name it, delete it, save a summary of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import ui

from common.safe_text import printable, shortened
from page.desk import Desk
from page.elements import asked_text, confirmed, icon_button, tell, told
from page.words import Say

if TYPE_CHECKING:
    from graph.session_store import SessionInfo

MOST = 200
NAME_CHARS = 60


class SessionList:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say, open_session: Callable[[str | None], Awaitable[None]]) -> None:
        """Draw it; `open_session` shows a conversation, None a new one."""
        self._desk, self._say, self._open = desk, say, open_session
        self.chosen: str | None = None
        with ui.column().classes("w-full gap-1 q-pa-sm"):
            ui.button(say("new"), icon="add", on_click=lambda: self._open(None)).classes("w-full").props(
                "no-caps outline"
            )
            self._rows = ui.column().classes("w-full gap-0").props("role=list")

    async def refresh(self, chosen: str | None) -> None:
        """Read the sessions again, and show which is open."""
        self.chosen = chosen
        with told(self._say):
            infos = await asyncio.to_thread(self._desk.sessions)
            self._rows.clear()
            with self._rows:
                for info in infos[:MOST]:
                    self._row(info)
                if not infos:
                    off = self._desk.settings.sessions == "none"
                    ui.label(self._say("sessions_off" if off else "no_sessions")).classes("lo-note q-pa-sm")

    def _row(self, info: "SessionInfo") -> None:
        name = name_of(info)
        classes = "lo-session items-center no-wrap" + (" lo-chosen" if info.id == self.chosen else "")
        with ui.row().classes(classes).props("role=listitem"):
            button = (
                ui.button(name, on_click=lambda: self._open(info.id))
                .props("flat no-caps align=left")
                .classes("col-grow")
            )
            button.props["aria-label"] = name
            if info.id == self.chosen:
                button.props["aria-current"] = "true"
            more = icon_button("more_vert", self._say("menu", name=name))
            with more, ui.menu():
                ui.menu_item(self._say("rename"), lambda: self._rename(info))
                ui.menu_item(self._say("save_summary"), lambda: self._save(info))
                ui.menu_item(self._say("delete"), lambda: self._delete(info))

    async def _rename(self, info: "SessionInfo") -> None:
        with told(self._say), self._rows:
            title = await asked_text(self._say("name"), name_of(info), self._say("save"), self._say("cancel"))
            if title is not None:
                await asyncio.to_thread(self._desk.rename, info.id, title)
                await self.refresh(self.chosen)

    async def _save(self, info: "SessionInfo") -> None:
        with told(self._say):
            saved = await asyncio.to_thread(self._desk.save_summary, info.id, info.title or None)
            tell(self._say("saved", path=saved.path), "positive")

    async def _delete(self, info: "SessionInfo") -> None:
        with told(self._say), self._rows:
            if await confirmed(self._say("delete_sure"), self._say("delete"), self._say("cancel")):
                await asyncio.to_thread(self._desk.delete, info.id)
                if info.id == self.chosen:
                    await self._open(None)
                else:
                    await self.refresh(self.chosen)


def name_of(info: "SessionInfo") -> str:
    """Return what a session is called: as the user named it, or by its first question."""
    return shortened(printable(info.title or info.first_question), NAME_CHARS)

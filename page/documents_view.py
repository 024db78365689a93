"""The documents: folders with their state, what was skipped and why, search, and the page where a passage stands."""

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from nicegui import background_tasks, ui

from common.safe_text import escaped, printable
from page.cited import Place
from page.desk import Desk
from page.elements import confirmed, icon_button, tell, told, words_of
from page.library import Folder, Overview
from page.place_view import show_place
from page.words import Say
from retrieval.records import Filter, MediaType

if TYPE_CHECKING:
    from retrieval.records import Hit

MOST_HITS = 10
ROWS = 25
TELL_S = 0.2


class DocumentsView:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say) -> None:
        """Draw the frame; `refresh` fills it."""
        self._desk, self._say = desk, say
        self._client = ui.context.client
        self._progress: tuple[str, int, int] | None = None
        with ui.column().classes("lo-column gap-3"):
            self._search_row()
            self._found = ui.column().classes("w-full gap-2 lo-found").props("role=region aria-live=polite")
            ui.label(say("folders")).classes("text-h6").props("role=heading aria-level=2")
            self._folders = ui.column().classes("w-full gap-1 lo-folders")
            self._adding()
            self._state = ui.label("").classes("lo-note lo-sync").props("role=status")
            self._bar = ui.linear_progress(0, show_value=False)
            self._bar.set_visibility(False)
            self._lists = ui.column().classes("w-full gap-1")

    async def refresh(self) -> None:
        """Read again how the documents stand."""
        with told(self._say):
            overview = await asyncio.to_thread(self._desk.library.overview)
            self._show_folders(overview)
            self._show_lists(overview)

    def _search_row(self) -> None:
        say = self._say
        with ui.row().classes("w-full items-end gap-2"):
            self._query = ui.input(say("search_words")).classes("col-grow lo-search").props("clearable")
            self._query.on("keydown.enter", self._search)
            self._source = ui.input(say("only_in")).props("clearable").style("min-width: 140px")
            types = {"": say("any"), **{kind: kind for kind in get_args(MediaType)}}
            self._type = ui.select(types, value="", label=say("type")).style("min-width: 100px")
            icon_button("search", say("search"), self._search)

    async def _search(self) -> None:
        query = str(self._query.value or "").strip()
        if not query:
            return
        kind = next((one for one in get_args(MediaType) if one == self._type.value), None)
        wanted = Filter(source=str(self._source.value or "").strip() or None, media_type=kind)
        with told(self._say):
            found = await asyncio.to_thread(self._desk.search, query, MOST_HITS, wanted)
            self._found.clear()
            with self._found:
                for hit in found.hits:
                    self._hit(hit)
                if not found.hits:
                    ui.label(self._say("nothing_found"))
                for note in found.degraded:
                    ui.label(printable(note)).classes("text-caption lo-note")

    def _hit(self, hit: "Hit") -> None:
        say = self._say
        page = f", {say('page_number', page=hit.page)}" if hit.page is not None else ""
        name = f"{escaped(hit.source)}{page}"
        place = Place(hit.source, hit.page, hit.start, hit.end, hit.text, str(self._query.value or ""))
        with ui.card().classes("w-full gap-1").props("flat bordered"):
            with ui.row().classes("w-full items-center no-wrap"):
                ui.label(name).classes("text-weight-bold col-grow")
                icon_button("find_in_page", f"{say('show_page')}: {name}", lambda: self._show(place))
            ui.label(printable(hit.text)).classes("lo-quote")
            weak = f"; {say('weak')}" if hit.match == "weak" else ""
            stale = f"; {say('changed_since')}" if hit.stale else ""
            ui.label(f"{say('relevance', percent=round(100 * hit.relevance))}{weak}{stale}").classes("text-caption")

    async def _show(self, place: Place) -> None:
        await show_place(place, self._desk, self._say)

    def _adding(self) -> None:
        say = self._say
        with ui.row().classes("w-full items-end gap-2") as self._add_row:
            self._path = ui.input(say("folder_path")).classes("col-grow lo-folder-path")
            self._path.on("keydown.enter", self._add)
            ui.button(say("add_folder"), icon="create_new_folder", on_click=self._add).props("no-caps outline")
        ui.button(say("sync"), icon="sync", on_click=self._sync).props("no-caps flat")

    async def _add(self) -> None:
        path = str(self._path.value or "").strip()
        if path:
            with told(self._say):
                await asyncio.to_thread(self._desk.library.add, path)
                self._path.value = ""
                await self.refresh()
                self._sync()

    async def _remove(self, folder: Folder) -> None:
        say, name = self._say, escaped(str(folder.path))
        with told(say), self._folders:
            if await confirmed(say("forget_sure", name=name), say("delete"), say("cancel")):
                await asyncio.to_thread(self._desk.library.remove, folder.path)
                await self.refresh()
                self._sync()

    def _sync(self) -> None:
        background_tasks.create(self._synced(), name="sync")

    async def _synced(self) -> None:
        say, cancel = self._say, threading.Event()

        def progress(what: str, done: int, total: int) -> None:
            self._progress = what, done, total

        work = asyncio.ensure_future(asyncio.to_thread(self._desk.library.sync, progress, cancel))
        try:
            while not (await asyncio.wait({work}, timeout=TELL_S))[0]:
                if self._progress is not None and not self._client.is_deleted:
                    what, done, total = self._progress
                    self._state.text = say("syncing", what=escaped(what), done=done, total=total)
                    self._bar.set_visibility(True)
                    self._bar.value = done / total if total else 0.0
            report = work.result()
        except Exception as error:  # the page's edge
            self._state.text = words_of(error, say)
            return
        finally:
            if not self._client.is_deleted:
                self._bar.set_visibility(False)
        if report is not None and not self._client.is_deleted:
            self._state.text = say(
                "synced", added=report.added, updated=report.updated, removed=report.removed, skipped=report.skipped,
                seconds=f"{report.seconds:.1f}",
            )  # fmt: skip
            with self._folders:
                for note in report.degraded:
                    tell(note, "warning")
            await self.refresh()

    def _show_folders(self, overview: Overview) -> None:
        say = self._say
        self._folders.clear()
        self._add_row.set_visibility(overview.fixed is None)
        with self._folders:
            if overview.fixed is not None:
                ui.label(say("fixed_folder", folder=escaped(str(overview.fixed)))).classes("lo-note")
            for folder in overview.folders:
                path = escaped(str(folder.path))
                with ui.row().classes("w-full items-center no-wrap lo-folder"):
                    ui.icon("folder")
                    ui.label(path).classes("col-grow")
                    ui.label(f"{folder.files} / {folder.skipped}").classes("text-caption").tooltip(
                        f"{say('files')} / {say('skipped', count=folder.skipped)}"
                    )
                    if overview.fixed is None:
                        icon_button("close", say("forget_folder", name=path), lambda one=folder: self._remove(one))
            if not overview.folders:
                ui.label(say("no_folders"))
            counts = {"files": len(overview.files), "chunks": overview.chunks, "skipped": len(overview.skipped)}
            ui.label(say("counts", **counts)).classes("text-caption lo-counts")

    def _show_lists(self, overview: Overview) -> None:
        say = self._say
        not_whole = [(row.source, "; ".join(row.notes)) for row in overview.files if row.notes]
        skipped = [(row.source, row.reason) for row in overview.skipped]
        files = [(row.source, row.media_type or "") for row in overview.files]
        self._lists.clear()
        with self._lists:
            self._list(say("skipped", count=len(skipped)), skipped, say("reason"), "lo-skipped")
            self._list(say("not_whole", count=len(not_whole)), not_whole, say("reason"), "lo-not-whole")
            self._list(f"{say('files')} ({len(files)})", files, say("type"), "lo-files")

    def _list(self, title: str, pairs: Sequence[tuple[str, str]], second: str, classes: str) -> None:
        if not pairs:
            return
        columns = [
            {"name": "file", "label": self._say("file"), "field": "file", "align": "left", "sortable": True},
            {"name": "what", "label": second, "field": "what", "align": "left", "sortable": True},
        ]
        rows = [{"id": n, "file": escaped(file), "what": escaped(what)} for n, (file, what) in enumerate(pairs)]
        with ui.expansion(title).classes(f"w-full {classes}"):
            ui.table(columns=columns, rows=rows, row_key="id", pagination=ROWS).classes("w-full").props(
                "flat dense wrap-cells"
            )

"""Models and adapters: what is loaded, what fits here, downloads, and what the running server wears."""

import asyncio
from pathlib import Path

from nicegui import background_tasks, ui

from common.safe_text import escaped, printable
from page.desk import Desk
from page.elements import icon_button, tell, told
from page.shelf import Known, Loaded, Other, Shelf
from page.words import Say

TELL_S, LOADING_S = 0.3, 1.0
GIB, MIB = 2**30, 2**20
FORMS = ("none", "int8", "nf4")


class ModelsView:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say) -> None:
        """Draw the frame; `refresh` fills it."""
        self._desk, self._say = desk, say
        self._client = ui.context.client
        with ui.column().classes("lo-column gap-3"):
            self._heading("in_use")
            self._loaded = ui.column().classes("w-full gap-1 lo-loaded").props("role=status")
            self._heading("models")
            self._form = ui.select(
                {"": say("form_auto"), **{name: name for name in FORMS}}, value="", label=say("form")
            ).props("dense options-dense").classes("lo-form")  # fmt: skip
            self._form.set_visibility(desk.models.can_change)
            self._models = ui.column().classes("w-full gap-1 lo-models")
            self._other()
            self._state = ui.label("").classes("lo-note lo-download").props("role=status")
            self._bar = ui.linear_progress(0, show_value=False)
            self._bar.set_visibility(False)
            self._heading("adapters")
            self._adapters = ui.column().classes("w-full gap-1 lo-adapters")
            self._own_adapter()
        self._watch = ui.timer(TELL_S, self._show_download, active=False)
        self._loading = ui.timer(LOADING_S, self.refresh, active=False)

    async def refresh(self) -> None:
        """Read again how everything stands."""
        with told(self._say):
            self._show_loaded(self._desk.models.loaded(), None)
            shelf = await asyncio.to_thread(self._desk.models.shelf)
            self._show_loaded(shelf.loaded, shelf)
            self._show_models(shelf)
            self._show_adapters(shelf)
            self._show_download()

    def _heading(self, name: str) -> None:
        ui.label(self._say(name)).classes("text-h6").props("role=heading aria-level=2")

    def _show_loaded(self, loaded: Loaded, shelf: Shelf | None) -> None:
        say = self._say
        self._loading.active = loaded.state == "loading"
        self._loaded.clear()
        with self._loaded:
            adapter = say("with_adapter", name=escaped(loaded.adapter)) if loaded.adapter else say("no_adapter")
            form = f" ({loaded.quantization})" if loaded.quantization else ""
            ui.label(f"{printable(loaded.name)}{form}, {adapter}").classes("text-weight-bold")
            if loaded.state == "loading":
                ui.label(say("loading", phase=printable(loaded.doing), percent=round(100 * loaded.share)))
            elif loaded.state == "failed":
                ui.label(say("load_failed", reason=printable(loaded.doing))).classes("text-negative")
            for more in (loaded.spread, loaded.refused):
                if more:
                    ui.label(printable(more)).classes("lo-note")
            if shelf is not None:
                free, own = f"{shelf.machine.free / GIB:.1f}", f"{shelf.process_bytes / GIB:.1f}"
                ui.label(say("memory", free=free, device=shelf.machine.device, own=own)).classes("text-caption")

    def _show_models(self, shelf: Shelf) -> None:
        self._models.clear()
        with self._models:
            for known in shelf.models:
                self._model(known, shelf.fits(known))

    def _model(self, known: Known, fits: bool | None) -> None:
        say, name = self._say, printable(known.name)
        facts = [say("on_disk", size=_size(known.bytes))] if known.bytes is not None else []
        if known.needed is not None:
            facts += [say("needs", size=_size(known.needed)), say("fits") if fits else say("too_large")]
        if not known.whole:
            facts.append(say("incomplete"))
        with ui.row().classes("w-full items-center no-wrap lo-model"):
            with ui.column().classes("col-grow gap-0"):
                ui.label(name)
                ui.label("; ".join(facts)).classes("text-caption lo-note")
            if known.bytes is None or not known.whole:
                icon_button("download", say("download", name=name), lambda: self._pull(known.name))
            else:
                icon_button("check", say("choose", name=name), lambda: self._choose(known.name))

    def _other(self) -> None:
        with ui.row().classes("w-full items-end gap-2"):
            self._id = ui.input(self._say("download_other")).classes("col-grow lo-model-id")
            self._id.on("keydown.enter", self._pull_other)
            icon_button("download", self._say("download", name=self._say("download_other")), self._pull_other)

    def _pull_other(self) -> None:
        if wanted := str(self._id.value or "").strip():
            self._pull(wanted)

    def _pull(self, name: str) -> None:
        background_tasks.create(self._pulled(name), name="download")

    async def _pulled(self, name: str) -> None:
        with self._models:
            self._watch.activate()
            with told(self._say):
                await asyncio.to_thread(self._desk.models.pull, name)
                if not self._client.is_deleted:
                    tell(self._say("downloaded", name=name), "positive")
            if not self._client.is_deleted:
                await self.refresh()

    def _show_download(self) -> None:
        download = self._desk.models.download
        runs = download is not None and not download.ended
        self._watch.active = runs
        self._bar.set_visibility(runs)
        if download is None:
            return
        if runs:
            sizes = {"done": _size(download.done), "total": _size(download.total)}
            self._state.text = self._say("downloading", name=printable(download.model), **sizes)
            self._bar.value = download.done / download.total if download.total else 0.0
        else:
            done = self._say("downloaded", name=printable(download.model))
            self._state.text = done if download.error is None else printable(download.error)

    async def _choose(self, name: str) -> None:
        with told(self._say):
            chosen = await asyncio.to_thread(self._desk.models.choose, name)
            changes = self._desk.models.can_change
            tell(self._say("starting_again" if changes else "chosen", name=chosen.model, file=str(chosen.file)))
            if chosen.stronger is not None and not changes:
                tell(self._say("stronger", what=chosen.stronger), "warning")
            if changes:
                form = str(self._form.value or "") or None
                await ui.run_javascript("lorgnette.keep('view', 'models')")  # where the tab comes back
                await asyncio.to_thread(self._desk.models.change, Other(chosen.model, form))

    def _show_adapters(self, shelf: Shelf) -> None:
        say = self._say
        self._adapters.clear()
        with self._adapters:
            if shelf.loaded.adapter is not None:
                ui.button(say("take_off"), icon="layers_clear", on_click=lambda: self._wear(None)).props(
                    "no-caps outline"
                )
            for adapter in shelf.adapters:
                name = escaped(str(adapter.folder))
                with ui.row().classes("w-full items-center no-wrap lo-adapter"):
                    with ui.column().classes("col-grow gap-0"):
                        ui.label(name)
                        kind, base = printable(str(adapter.type)), printable(str(adapter.base))
                        ui.label(say("made_for", kind=kind, base=base)).classes("text-caption lo-note")
                    icon_button("layers", say("wear", name=name), lambda folder=adapter.folder: self._wear(folder))
            if not shelf.adapters:
                ui.label(say("no_adapters"))

    def _own_adapter(self) -> None:
        with ui.row().classes("w-full items-end gap-2"):
            self._folder = ui.input(self._say("adapter_folder")).classes("col-grow lo-adapter-folder")
            self._folder.on("keydown.enter", self._wear_own)
            icon_button("layers", self._say("wear", name=self._say("adapter_folder")), self._wear_own)

    async def _wear_own(self) -> None:
        if wanted := str(self._folder.value or "").strip():
            await self._wear(Path(wanted))

    async def _wear(self, folder: Path | None) -> None:
        say = self._say
        with told(say):
            await asyncio.to_thread(self._desk.models.wear, folder)
            tell(say("worn", name=say("no_adapter") if folder is None else str(folder)), "positive")
        await self.refresh()


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"

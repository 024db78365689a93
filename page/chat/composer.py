"""Where a question is written: its words, what goes with it, effort, documents, and stop."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from nicegui import events, ui

from common.atomic_files import is_disk_full
from common.safe_text import printable
from model.pictures.files import LOOKED_AT
from page.chat.again_menu import EFFORTS
from page.desk import Desk
from page.elements import icon_button, tell, told
from page.errors import PageError
from page.picture_view import Region
from page.pictures import Shown
from page.words import Say

MOST_BYTES = 2 * 2**30
MIB = 2**20
# Not while an input method composes: Enter then takes a word over.
SEND_KEYS = "(e) => { if (!e.shiftKey && !e.isComposing) { e.preventDefault(); emit(); } }"


@dataclass(frozen=True)
class Attached:
    """One file or part of one that goes with the question."""

    shown: Shown
    region: Region | None = None

    @property
    def source(self) -> str:
        """As a question names it."""
        if self.region is None:
            return self.shown.source
        sign = "&" if self.shown.part else "#"
        return f"{self.shown.source}{sign}xywh={','.join(map(str, self.region))}"

    @property
    def name(self) -> str:
        """For the user's eyes."""
        name = printable(self.shown.name)
        return name if self.region is None else f"{name} ({','.join(map(str, self.region))})"


class Composer:
    """The lower end of the chat."""

    def __init__(
        self, desk: Desk, say: Say, on_send: Callable[[], Awaitable[None]], on_stop: Callable[[], None]
    ) -> None:
        """Draw it where the caller is."""
        self._desk, self._say, self._on_send = desk, say, on_send
        self.attached: list[Attached] = []
        with ui.column().classes("lo-column gap-1"):
            self._chips = ui.row().classes("w-full gap-1 lo-attached")
            with ui.row().classes("w-full items-end no-wrap gap-1"):
                self._text = ui.textarea(placeholder=say("question")).classes("col-grow lo-question")
                self._text.props["aria-label"] = say("question")
                self._text.props("autogrow outlined dense rows=1 input-style=max-height:30vh autofocus")
                self._text.on("keydown.enter", self._send, js_handler=SEND_KEYS)
                self._text.on("keydown.escape", on_stop)
                self._stop = icon_button("stop_circle", say("stop"), on_stop).props("color=negative")
                self._send_button = icon_button("send", say("send"), self._send).props("color=primary")
            with ui.row().classes("w-full items-center gap-1"):
                self._files()
                self._options()
        self.busy = False
        self._show_busy()

    @property
    def text(self) -> str:
        """What is written."""
        return str(self._text.value or "").strip()

    @property
    def uses_documents(self) -> bool:
        """Whether the documents may be searched."""
        return bool(self._documents.value)

    def clear(self) -> None:
        """Begin anew."""
        self._text.value = ""
        self.attached.clear()
        self._show_attached()

    def attach(self, attached: Attached) -> None:
        """Let it go with the question."""
        self.attached.append(attached)
        self._show_attached()
        self._text.run_method("focus")

    def set_busy(self, busy: bool) -> None:
        """Say whether a question is being answered."""
        self.busy = busy
        self._show_busy()

    async def _send(self) -> None:
        if not self.busy:
            await self._on_send()

    def _show_busy(self) -> None:
        self._stop.set_visibility(self.busy)
        self._send_button.set_visibility(not self.busy)

    def _files(self) -> None:
        say = self._say
        uploader = ui.upload(
            multiple=True, auto_upload=True, on_upload=self._received, max_file_size=MOST_BYTES,
            on_rejected=lambda: tell(str(PageError("page_upload_refused", limit=MOST_BYTES // MIB)), "negative"),
            on_begin_upload=lambda: ui.notify(say("uploading")),
        ).classes("lo-hidden-uploader")  # fmt: skip
        uploader.props(f'accept="{",".join((*LOOKED_AT, "image/*", "video/*"))}" aria-hidden=true tabindex=-1')
        self._uploader = uploader
        self._choose = icon_button("attach_file", say("attach"))
        self._choose.on("click", js_handler=f"() => lorgnette.choose({uploader.id})")
        words = f'["{say("camera")}", "{say("cancel")}"]'
        for icon, what in (("photo_camera", "camera"), ("screenshot_monitor", "screen")):
            label = say("camera" if what == "camera" else "screenshot")
            button = icon_button(icon, label)
            snap = f"lorgnette.snap({uploader.id}, '{what}', {words})"
            button.on("click", self._snapped, js_handler=f"async () => emit(await {snap})")
        ui.timer(0, lambda: ui.run_javascript(f"lorgnette.watch({uploader.id})"), once=True)

    def _options(self) -> None:
        say, chosen = self._say, self._desk.preferences.chosen
        efforts = {effort: say(effort) for effort in EFFORTS}
        start = chosen.effort or self._desk.settings.effort
        self.effort = ui.select(efforts, value=start, label=say("effort")).props("dense options-dense borderless")
        self.effort.style("min-width: 90px")
        self.effort.tooltip("; ".join(f"{say(effort)}: {say(f'{effort}_means')}" for effort in EFFORTS))
        self.effort.on_value_change(lambda event: self._desk.preferences.change(effort=event.value))
        self._documents = ui.switch(say("use_documents"), value=chosen.use_documents)
        self._documents.on_value_change(lambda event: self._desk.preferences.change(use_documents=event.value))

    async def _received(self, event: events.UploadEventArguments) -> None:
        with told(self._say):
            file: Path = self._desk.uploads.place_for(event.file.name)
            try:
                await event.file.save(file)
            except OSError as error:
                self._desk.uploads.remove(file)
                if is_disk_full(error):
                    raise PageError("page_upload_full", name=file.name) from error
                raise
            self.attach(Attached(self._desk.pictures.of_file(file)))
        self._uploader.reset()

    def _snapped(self, event: events.GenericEventArguments) -> None:
        if event.args:
            tell(self._say("no_camera", reason=str(event.args)), "warning")

    def _show_attached(self) -> None:
        self._chips.clear()
        with self._chips:
            for one in self.attached:
                with ui.row().classes("items-center no-wrap gap-1 lo-chip"):
                    ui.image(one.shown.url).classes("lo-thumb").props["alt"] = one.name
                    ui.label(one.name).classes("text-caption")
                    icon_button("close", self._say("remove", name=one.name), lambda one=one: self._detach(one))

    def _detach(self, one: Attached) -> None:
        self.attached.remove(one)
        self._show_attached()

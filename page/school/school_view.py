"""The board of training: a form that makes a configuration, a look at its rows, and the runs below."""

import asyncio
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import ui

from common.safe_text import escaped, printable
from page.desk import Desk
from page.elements import told
from page.school.form import ASKED, PRACTICE, PRESETS, Written, as_yaml, fields_of, practice_rows, write
from page.school.runs_view import RunsView
from page.words import Say

if TYPE_CHECKING:
    from page.school.preview import Preview, ShownRow

KINDS = ["lora", "moe_lora", "alora", "ia3", "multiway"]
FIRST = "preset_practice"


class SchoolView:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say) -> None:
        """Draw the frame; `refresh` fills it."""
        self._desk, self._say = desk, say
        self._fields: dict[str, Any] = {}
        with ui.column().classes("lo-column gap-3"):
            self._heading("training")
            ui.select({name: say(name) for name in PRESETS}, value=FIRST, label=say("preset"),
                      on_change=lambda event: self._take(str(event.value))).classes("w-full lo-preset")  # fmt: skip
            with ui.row().classes("w-full gap-2"):
                for key in ASKED:
                    self._field(key)
            self._rest = ui.textarea(say("further_keys")).classes("w-full lo-further").props("autogrow dense")
            with ui.row().classes("w-full gap-2"):
                for name, icon, action in (
                    ("check_data", "fact_check", self._check), ("train", "school", self._train),
                ):  # fmt: skip
                    ui.button(say(name), icon=icon, on_click=action).props("no-caps outline").classes(f"lo-{name}")
            self._busy = ui.spinner()
            self._busy.set_visibility(False)
            self._configuration = ui.column().classes("w-full gap-1 lo-configuration")
            self._data = ui.column().classes("w-full gap-2 lo-preview").props("role=region aria-live=polite")
            self._heading("runs")
            self._runs = RunsView(desk, say)
        self._take(FIRST)

    async def refresh(self) -> None:
        """Read again how the runs stand."""
        with told(self._say):
            await self._runs.refresh()

    def _heading(self, name: str) -> None:
        ui.label(self._say(name)).classes("text-h6").props("role=heading aria-level=2")

    def _field(self, key: str) -> None:
        made: Any
        made = ui.select(KINDS, label=key) if key == "finetuning_type" else ui.input(key)
        self._fields[key] = made.props("dense").classes(f"lo-key-{key}").style("min-width: 190px; flex: 1")

    def _take(self, preset: str) -> None:
        values, rest = fields_of(preset)
        for key, value in values.items():
            self._fields[key].value = value if key == "finetuning_type" else str(value)
        self._rest.value = rest

    def _text(self) -> str:
        return as_yaml({key: field.value or "" for key, field in self._fields.items()}, str(self._rest.value or ""))

    async def _written(self) -> Written:
        """Return the form's configuration; draws the pictures to practise with where it names them."""
        if Path(str(self._fields["dataset"].value or "").strip()) == PRACTICE / "scenes.jsonl":
            await asyncio.to_thread(practice_rows)
        written = await asyncio.to_thread(write, self._text())
        self._configuration.clear()
        with self._configuration:
            ui.label(self._say("by_hand", command=escaped(written.command))).classes("lo-note")
            with ui.expansion(escaped(written.file.name), icon="description").classes("w-full"):
                ui.label(printable(written.text)).classes("lo-words lo-code")
            for note in written.config.notes:
                ui.label(printable(note)).classes("lo-note")
        return written

    async def _check(self) -> None:
        from page.school.preview import preview

        self._busy.set_visibility(True)
        with told(self._say):
            written = await self._written()
            self._show(await asyncio.to_thread(preview, written.config))
        self._busy.set_visibility(False)

    async def _train(self) -> None:
        self._busy.set_visibility(True)
        with told(self._say):
            written = await self._written()
            output = written.config.training.output_dir.expanduser().absolute()
            await asyncio.to_thread(self._desk.runs.start, written.file, output)
            await self._runs.show(output)
        self._busy.set_visibility(False)

    def _show(self, found: "Preview") -> None:
        say = self._say
        self._data.clear()
        with self._data:
            counts = {"rows": found.rows, "usable": found.usable, "held": found.held_back, "doubled": found.doubled}
            ui.label(say("data_counts", **counts)).classes("text-weight-bold")
            ui.label(printable(found.decided)).classes("lo-note text-caption")
            if found.broken:
                with ui.expansion(say("left_out", count=found.broken_rows)).classes("w-full lo-left-out"):
                    for place, reason in found.broken:
                        ui.label(f"{escaped(place)}: {escaped(reason)}")
            ui.label(say("mask_means")).classes("lo-note")
            for row in found.shown:
                self._row(row)

    def _row(self, row: "ShownRow") -> None:
        say = self._say
        with ui.card().classes("w-full gap-1 lo-row").props("flat bordered"):
            ui.label(f"{escaped(row.origin)}: {say('row_tokens', tokens=row.tokens, learned=row.learned)}").classes(
                "text-caption"
            )
            with ui.row().classes("gap-1"):
                for path in row.pictures[:4]:
                    shown = self._desk.pictures.of_file(path)
                    ui.image(shown.url).classes("lo-thumb").props["alt"] = printable(shown.name)
            words = "".join(
                f"<mark class='lo-mark'>{escape(printable(piece.text))}</mark>" if piece.learned
                else escape(printable(piece.text))
                for piece in row.pieces
            )  # fmt: skip
            ui.html(words).classes("lo-words")
            if row.problem:
                ui.label(printable(row.problem)).classes("text-negative")

"""Measuring a finished adapter on rows whose right answers are known, beside its base."""

import asyncio
from pathlib import Path

from nicegui import ui

from common.safe_text import printable
from page.desk import Desk
from page.elements import told
from page.evaluations import Evaluation, begin, evaluation_of
from page.words import Say

LOOK_S = 1.0


class MeasuringView:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say) -> None:
        """Draw the form; `show` names the adapter."""
        self._desk, self._say = desk, say
        self.output: Path | None = None
        with ui.expansion(say("evaluate"), icon="straighten").classes("w-full lo-measure") as self._frame:
            ui.label(say("evaluate_means")).classes("lo-note")
            with ui.row().classes("w-full items-end gap-2"):
                self._rows = ui.input(say("rows_file")).classes("col-grow lo-measure-rows")
                self._button = ui.button(say("measure"), on_click=self._begin).props("no-caps")
                self._button.classes("lo-measure-begin")
            self._state = ui.label("").classes("lo-note lo-words").props("role=status")
            self._table = ui.column().classes("w-full lo-measured")
        self._frame.set_visibility(False)
        self._timer = ui.timer(LOOK_S, self._look, active=False)

    async def show(self, output: Path | None) -> None:
        """Show how the adapter of a folder was measured; None shows nothing."""
        self.output = output
        self._frame.set_visibility(output is not None)
        await self._look()

    async def _begin(self) -> None:
        if self.output is None:
            return
        named = str(self._rows.value or "").strip()
        rows = Path(named).expanduser().absolute() if named else None
        with told(self._say):
            await asyncio.to_thread(begin, self._desk.runs.processes, self.output, rows)
        await self._look()

    async def _look(self) -> None:
        if self.output is not None:
            with told(self._say):
                self._show(await asyncio.to_thread(evaluation_of, self._desk.runs.processes, self.output))

    def _show(self, found: Evaluation) -> None:
        say = self._say
        self._timer.active = found.running
        self._button.set_enabled(not found.running)
        counts = say("measured_rows", rows=found.rows, broken=found.broken) if found.lines else printable(found.told)
        self._state.text = say("measuring") if found.running else counts
        self._table.clear()
        if not found.lines:
            return
        titles = {"title": "", "base": say("base"), "adapter": say("adapter"), "difference": "Δ"}
        columns = [{"name": name, "label": label, "field": name, "align": "left"} for name, label in titles.items()]
        rows = [{name: printable(str(getattr(line, name))) for name in titles} for line in found.lines]
        with self._table:
            ui.table(columns=columns, rows=rows, row_key="title").classes("w-full").props("flat dense hide-pagination")

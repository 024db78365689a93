"""Runs: their state, curves while they train, what they wrote, comparison, and a try beside the base."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nicegui import events, ui

from common.safe_text import escaped, printable
from page.desk import Desk
from page.elements import icon_button, told
from page.runs import Progress
from page.school.measuring_view import MeasuringView
from page.school.trial import base_and_adapter
from page.words import Say

LOOK_S = 1.0
CURVES = (("loss", "eval_loss"), ("learning_rate",), ("grad_norm",))


class RunsView:
    """It draws itself where it is made."""

    def __init__(self, desk: Desk, say: Say) -> None:
        """Draw the frame; `refresh` fills it."""
        self._desk, self._say = desk, say
        self._chosen: Path | None = None
        self._picture: Path | None = None
        self._runs = ui.select({}, label=say("run"), on_change=self._choose).classes("w-full lo-run")
        self._panel = ui.column().classes("w-full gap-2 lo-run-panel")
        with self._panel:
            with ui.row().classes("w-full items-center gap-2"):
                self._state = ui.label("").classes("col-grow lo-run-state").props("role=status")
                self._stop = icon_button("stop_circle", say("stop_run"), self._stop_run)
                self._resume = icon_button("play_circle", say("resume_run"), self._resume_run)
            self._bar = ui.linear_progress(0, show_value=False)
            self._charts = [ui.echart(_chart(names)).classes("w-full lo-curve").style("height: 200px")
                            for names in CURVES]  # fmt: skip
            for names, chart in zip(CURVES, self._charts, strict=True):
                chart.props["role"], chart.props["aria-label"] = "img", ", ".join(names)
            self._experts = ui.label("").classes("lo-note")
            with ui.expansion(say("told"), icon="terminal").classes("w-full"):
                self._told = ui.label("").classes("lo-words lo-code lo-told")
            self._trying()
            self._measuring = MeasuringView(desk, say)
        self._comparing()
        self._panel.set_visibility(False)
        self._timer = ui.timer(LOOK_S, self._look, active=False)

    async def refresh(self) -> None:
        """Read again which runs there are."""
        known = await asyncio.to_thread(self._desk.runs.known)
        names = {str(path): escaped(str(path)) for path in known}
        self._runs.set_options(names, value=str(self._chosen) if str(self._chosen) in names else None)
        self._compared.set_options(names)
        if self._chosen is None and known:
            await self.show(known[0])
        else:
            await self._look()

    async def show(self, output: Path) -> None:
        """Show a run."""
        self._chosen = output
        await self.refresh()

    async def _choose(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value and Path(str(event.value)) != self._chosen:
            self._chosen = Path(str(event.value))
            await self._look()

    async def _look(self) -> None:
        if self._chosen is None:
            return
        with told(self._say):
            found = await asyncio.to_thread(self._desk.runs.progress, self._chosen)
            self._show(found)
            measured = self._chosen if found.state == "finished" else None
            if measured != self._measuring.output:
                await self._measuring.show(measured)

    def _show(self, found: Progress) -> None:
        say = self._say
        self._panel.set_visibility(True)
        self._timer.active = found.state == "running"
        left = "" if found.seconds_left is None else f"; {say('time_left', time=_clock(found.seconds_left))}"
        losses = found.series("loss")
        loss = f"; loss {losses[-1][1]:.4g}" if losses else ""
        steps = say("steps", step=found.step, total=found.total or "?")
        self._state.text = f"{say(f'run_{found.state}')}; {steps}{loss}{left}"
        self._bar.value = found.step / found.total if found.total else 0.0
        self._stop.set_visibility(found.state == "running")
        self._resume.set_visibility(found.resumable)
        for names, chart in zip(CURVES, self._charts, strict=True):
            for number, name in enumerate(names):
                chart.options["series"][number]["data"] = [list(point) for point in found.series(name)]
            chart.update()
        self._experts.text = "" if found.experts is None else say("experts", usage=printable(str(found.experts)))
        self._told.text = printable(found.told)
        self._try.set_visibility(found.state == "finished")

    async def _stop_run(self) -> None:
        if self._chosen is not None:
            with told(self._say):
                await asyncio.to_thread(self._desk.runs.stop, self._chosen)

    async def _resume_run(self) -> None:
        if self._chosen is not None:
            with told(self._say):
                await asyncio.to_thread(self._desk.runs.resume, self._chosen)
                await self._look()

    def _trying(self) -> None:
        say = self._say
        with ui.expansion(say("try"), icon="compare", value=True).classes("w-full lo-try") as self._try:
            ui.label(say("try_means")).classes("lo-note")
            self._upload = ui.upload(auto_upload=True, on_upload=self._received, label=say("own_picture")).props(
                'accept="image/*" flat'
            )
            self._upload.classes("w-full lo-own-picture")
            with ui.row().classes("w-full items-end gap-2"):
                self._question = ui.input(say("question")).classes("col-grow lo-try-question")
                self._question.on("keydown.enter", self._ask)
                icon_button("send", say("send"), self._ask)
            self._answers = ui.column().classes("w-full lo-try-answers").props("role=region aria-live=polite")

    async def _received(self, event: events.UploadEventArguments) -> None:
        with told(self._say):
            file = self._desk.uploads.place_for(event.file.name)
            await event.file.save(file)
            self._picture = file

    async def _ask(self) -> None:
        question = str(self._question.value or "").strip()
        if not question or self._picture is None or self._chosen is None:
            ui.notify(self._say("picture_first"), type="warning")
            return
        self._answers.clear()
        with self._answers:
            spinner = ui.spinner()
        with told(self._say):
            names = iter((self._say("base"), self._say("adapter")))
            async for answer in base_and_adapter(self._desk, question, self._picture, self._chosen):
                with self._answers:
                    ui.label(next(names)).classes("text-caption lo-note")
                    ui.label(printable(answer.answer)).classes("lo-words lo-try-answer")
        spinner.delete()

    def _comparing(self) -> None:
        say = self._say
        with ui.expansion(say("compare"), icon="table_chart").classes("w-full lo-compare"):
            self._compared = ui.select({}, multiple=True, label=say("runs"), on_change=self._compare).classes("w-full")
            self._table = ui.column().classes("w-full")

    async def _compare(self, event: events.ValueChangeEventArguments[Any]) -> None:
        from finetune.training.reporting.comparison import compare

        self._table.clear()
        folders = [Path(str(one)) for one in event.value or ()]
        if len(folders) < 2:
            return
        with told(self._say):
            found = await asyncio.to_thread(compare, folders)
            lines = {**found.told, **found.outcome}
            columns = [{"name": "key", "label": "", "field": "key", "align": "left"}]
            columns += [
                {"name": f"r{n}", "label": printable(name), "field": f"r{n}", "align": "left"}
                for n, name in enumerate(found.runs)
            ]
            rows = [
                {"key": key, **{f"r{n}": _plain(value) for n, value in enumerate(values)}}
                for key, values in lines.items()
            ]
            with self._table:
                ui.table(columns=columns, rows=rows, row_key="key").classes("w-full").props("flat dense wrap-cells")
                for note in found.notes:
                    ui.label(printable(note)).classes("lo-note")


def _chart(names: Sequence[str]) -> dict[str, Any]:
    return {
        "animation": False, "grid": {"left": 60, "right": 16, "top": 30, "bottom": 24},
        "legend": {"data": list(names), "textStyle": {"color": "#808080"}}, "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "min": "dataMin", "max": "dataMax"}, "yAxis": {"type": "value", "scale": True},
        "series": [{"name": name, "type": "line", "showSymbol": False, "data": []} for name in names],
    }  # fmt: skip


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _plain(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else printable(str(value))

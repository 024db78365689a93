"""A question on its way through the server: let in, answered within its time, drawn, or handed over to a job.

The agent answers it; `ask_image` holds the words of the tool, `progress` the heartbeat.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ContentBlock, TextContent

from common.errors import LorgnetteError
from graph.answer import Answer, ModelResult, Usage
from graph.question import Question
from lorgnette.answer_text import AskResult, JobAskResult, fit, render, structured
from mcp_server.progress import Watch, heartbeat, in_thread
from mcp_server.state.app import App
from mcp_server.state.box_pictures import links
from mcp_server.tools.page_links import page_links
from model.pictures.picture import Picture
from model.worker import asking

GRACE_S = 3.0  # an answer ends itself at its deadline; what has not by then is left behind before clients give up


class NoAnswerInTime(LorgnetteError):
    """The agent did not end by itself when its time was up."""

    def __init__(self, seconds: float, doing: str) -> None:
        self.seconds, self.doing = seconds, doing
        super().__init__(
            f"There is no answer after {seconds:.0f} s (still {doing}); ask again with fewer or smaller pictures or "
            "effort 'quick', or allow more with time_budget_s."
        )


async def answer(app: App, ctx: Context[App], question: Question) -> CallToolResult:
    """Answer within `time_budget_s` of this moment, waiting for the model included.

    Raises:
        StillLoading: The model is not there in time.
        ModelBusy: Too many questions wait already.
        NoAnswerInTime: The answer did not end.
        LorgnetteError: As the agent raises.
    """
    began, settings = time.monotonic(), app.settings
    client = asking.get()
    app.places.take(client)
    watch = Watch(app.loader.describe)
    if app.loader.opened() is not None:
        watch.begin()
    limit_s = settings.job_limit_s if settings.jobs else settings.time_budget_s
    work = asyncio.create_task(_work(app, question, watch, began + limit_s))
    work.add_done_callback(lambda _: app.places.give_back(client))
    handed_over = False
    try:
        async with heartbeat(ctx, app.heartbeat_s, watch.describe) as beat:
            watch.wake = beat.wake
            await asyncio.wait({work}, timeout=settings.time_budget_s + (0.0 if settings.jobs else GRACE_S))
        if work.done():
            return answered(work.result())
        if not settings.jobs:
            raise NoAnswerInTime(time.monotonic() - began, watch.describe())
        handed_over = True
    finally:
        if not handed_over:
            work.cancel()
    job = app.jobs.add(work, began, watch.describe)
    return answered(_unfinished(app, question, job.id, watch.describe(), time.monotonic() - began))


def answered(result: AskResult) -> CallToolResult:
    """Put an answer into both channels."""
    text = TextContent(type="text", text=render(result))
    content: list[ContentBlock] = [text, *links(result.drawn), *page_links(result.citations)]
    return CallToolResult(content=content, structured_content=structured(result))


async def _work(app: App, question: Question, watch: Watch, deadline: float) -> AskResult:
    agent = await app.loader.agent(deadline - time.monotonic())
    watch.begin()
    seen: list[tuple[Sequence[Picture], int]] = []
    found = await in_thread(
        lambda cancel: agent.answer(
            replace(question, time_budget_s=max(0.0, deadline - time.monotonic())),
            on_event=watch.on_event,
            on_pictures=lambda pictures, first: seen.append((pictures, first)),
            cancel=cancel,
        )
    )
    if app.settings.sessions != "none":
        app.news.session_changed(found.session_id)
    return await in_thread(lambda _: _drawn(app, found, seen))


def _drawn(app: App, found: Answer, seen: Sequence[tuple[Sequence[Picture], int]]) -> AskResult:
    drawn, notes = app.drawn.draw(found, *seen[0]) if seen else ([], [])
    result = AskResult(**{**dict(found), "drawn": drawn, "degraded": [*found.degraded, *notes]})
    return fit(result)


def _unfinished(app: App, question: Question, job_id: str, doing: str, seconds: float) -> JobAskResult:
    settings = app.settings
    return JobAskResult(
        answer=f"The answer is not finished after {seconds:.0f} s ({doing}). The work goes on: call get_job with "
        f"job_id {job_id!r} to wait for it, or with cancel true to stop it.",
        citations=[],
        boxes=[],
        plan=None,
        review=None,
        degraded=["answer: not finished, this is no answer yet"],
        model=ModelResult(
            name=settings.model,
            adapter=str(settings.adapter) if settings.adapter else None,
            quantization=settings.quantization,
        ),
        usage=Usage(prefill_tokens=0, cached_tokens=0, new_tokens=0, seconds=round(seconds, 3)),
        session_id=question.session_id or "",
        truncated=True,
        job_id=job_id,
    )

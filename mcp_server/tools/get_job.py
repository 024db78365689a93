"""The tool `get_job` and the resource of a job: how far a question is that goes on after its call, and its answer."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import Field

from lorgnette.answer_text import render, structured
from mcp_server.middleware import tool_errors
from mcp_server.progress import heartbeat
from mcp_server.state.app import App
from mcp_server.state.box_pictures import links
from mcp_server.state.jobs import Job, JobMissing, JobResult, Jobs

URI = "lorgnette://job/{id}"


async def get_job(
    job_id: Annotated[str, Field(min_length=1, max_length=64, description="job_id of an unfinished answer")],
    wait_s: Annotated[int, Field(ge=0, le=45, description="Seconds to wait for the end")] = 20,
    cancel: Annotated[bool, Field(description="Stop it instead")] = False,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, JobResult]:
    """Get the answer of a question whose ask_image call returned a job_id, or how far it is; call again until done."""
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        job = app.jobs.get(job_id)
        if cancel:
            job.cancel()
        async with heartbeat(ctx, app.heartbeat_s, job.describe):
            await job.wait(min(wait_s, app.settings.time_budget_s))
        if job.failure is not None:
            raise job.failure
        result = job.result()
    content: list[ContentBlock] = [TextContent(type="text", text=_rendered(result))]
    data = result.model_dump(mode="json", exclude={"answer"})
    if result.answer is not None:
        content += links(result.answer.drawn)
    data["answer"] = None if result.answer is None else structured(result.answer)
    return CallToolResult(content=content, structured_content=data)


def add_job_resource(server: MCPServer[App], jobs: Jobs) -> None:
    """Register the resource template."""

    @server.resource(
        URI,
        name="job",
        title="Job",
        description="How far a question is that goes on after its call, and its answer, as JSON.",
        mime_type="application/json",
    )
    async def job(id: str) -> str:
        try:
            found = jobs.get(id)
        except JobMissing as error:
            raise ResourceNotFoundError(str(error)) from None
        return _as_json(found)


def _as_json(job: Job) -> str:
    return job.result().model_dump_json(indent=2)


def _rendered(result: JobResult) -> str:
    if result.answer is not None:
        return f"{render(result.answer)}\nJob: {result.job_id}, done after {result.seconds:.0f} s"
    if result.state == "cancelled":
        return f"The job {result.job_id} was cancelled after {result.seconds:.0f} s."
    return f"The job {result.job_id} is not finished after {result.seconds:.0f} s: {result.progress}. Call again."

"""The tool `save_session_summary`: its words and its schema."""

from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent
from pydantic import Field

from common.safe_text import printable
from graph.answer import Summary
from lorgnette.archive import required_archive
from mcp_server.middleware import tool_errors
from mcp_server.progress import heartbeat, in_thread
from mcp_server.state.app import App


async def save_session_summary(
    session_id: Annotated[
        str,
        Field(max_length=64, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", description="session_id of an answer"),
    ],
    title: Annotated[
        str | None, Field(min_length=1, max_length=200, description="Of the report; by default the first question")
    ] = None,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, Summary]:
    """Save a conversation as a new Markdown file with every question, answer, plan, verdict and piece of evidence.

    Use it when the user wants to keep or archive what was found. Never overwrites a file. Returns its path.
    """
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        archive = required_archive(app.settings)
        async with heartbeat(ctx, app.heartbeat_s, lambda: "saving"):
            summary = await in_thread(lambda _: archive.summarize(session_id, title))
    questions = "1 question" if summary.turns == 1 else f"{summary.turns} questions"
    text = TextContent(type="text", text=f"Saved {questions} in {printable(summary.path)}\n{summary.uri}")
    return CallToolResult(content=[text], structured_content=summary.model_dump(mode="json"))

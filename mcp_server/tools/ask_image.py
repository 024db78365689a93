"""The tool `ask_image`: its words and its schema; `answering` lets the agent answer."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from graph.question import Question
from graph.settings import Effort
from lorgnette.answer_text import AskResult, JobAskResult
from mcp_server.middleware import tool_errors
from mcp_server.state.app import App
from mcp_server.tools.answering import answer

MAX_SOURCE_CHARS = 6_000_000  # 4 MiB as base64, and the address in front of it
ImageSource = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE_CHARS)]


def asking_for_jobs() -> Callable[..., Any]:
    """Return `ask_image` under the schema whose results may carry a job's id."""

    @wraps(ask_image)
    async def asking(*args: Any, **kwargs: Any) -> CallToolResult:
        return await ask_image(*args, **kwargs)

    signature = inspect.signature(ask_image, eval_str=True)
    returned = Annotated[CallToolResult, JobAskResult]
    asking.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    asking.__doc__ = (ask_image.__doc__ or "") + "    With a job_id the answer is not finished: call get_job.\n    "
    return asking


async def ask_image(
    question: Annotated[
        str,
        Field(min_length=1, max_length=4000, description="What to find out, in any language"),
    ],
    images: Annotated[
        list[ImageSource],
        Field(
            max_length=8,
            description="What to look at: files inside the allowed folders (PNG, JPEG, HEIC, PDF, MP4 ...), absolute "
            "or relative to the first, data: URLs under 4 MiB, lorgnette://picture/ID. A part: #xywh=10,20,300,200 "
            "(zoom), #page=2-5, #t=10,20. No http:.",
        ),
    ] = [],  # noqa: B006 - the schema shows this default, and nobody changes it
    session_id: Annotated[
        str | None,
        Field(
            max_length=64,
            pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
            description="Of an earlier answer, to go on with that conversation",
        ),
    ] = None,
    use_knowledge: Annotated[bool, Field(description="Whether documents may be searched")] = True,
    effort: Annotated[
        Effort | None,
        Field(description="quick: one look, no check; normal: plan, answer, check; thorough: the best of several"),
    ] = None,
    max_new_tokens: Annotated[
        int | None, Field(ge=1, le=8192, description="Longest answer in tokens; or the user's setting")
    ] = None,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, AskResult]:
    """Look at local pictures and answer a question about them with a vision model on this machine.

    Use it to describe, count, locate, read or compare what is in one or several pictures. Returns the answer
    with its evidence: citations, boxes in pixels of the picture as given and a link to it with them drawn in,
    the plan, the reviewer's verdict (PASS or RETRY), and `degraded`, which says what was missing; trust the
    answer less then. Refuses files outside the allowed folders, files that are no pictures or
    too large; the error says what to do. Right after the start the model may still be loading: call again.
    Remembers the turn; asked to archive the conversation, writes a report.
    """
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        asked = Question(question, tuple(images), session_id, use_knowledge, effort, max_new_tokens)
        return await answer(app, ctx, asked)

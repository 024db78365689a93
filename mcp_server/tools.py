"""The tools: arguments in, answers out. Their texts are prompts, read by the calling model.

They hold no logic of their own: `asking` lets the agent answer, `middleware` translates errors, `results` renders.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from graph.answer import Summary
from graph.printable import printable
from graph.settings import Effort
from lorgnette.answer_text import AskResult, JobAskResult
from lorgnette.opening import NoDocuments, SessionsOff, open_archive, open_knowledge
from lorgnette.search_text import SearchResult, render_found, search_result
from lorgnette.settings import Settings
from mcp_server.asking import Question, answer
from mcp_server.get_job import get_job
from mcp_server.icons import ICON
from mcp_server.middleware import tool_errors
from mcp_server.offered import offered
from mcp_server.progress import heartbeat, in_thread
from mcp_server.shared import App

MAX_SOURCE_CHARS = 6_000_000  # 4 MiB as base64, and the address in front of it

ImageSource = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE_CHARS)]


READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)


def add_tools(server: MCPServer[App], settings: Settings) -> set[str]:
    """Register the tools that the settings offer, and return their names.

    Raises:
        ConfigError: They name an unknown tool, or leave none.
    """
    tools: dict[str, tuple[Callable[..., Any], str, ToolAnnotations]] = {
        "ask_image": (_asking_for_jobs() if settings.jobs else ask_image, "Ask about pictures", READS),
        "search_kb": (search_kb, "Search documents", READS),
        "save_session_summary": (save_session_summary, "Save a conversation", WRITES),
        "get_job": (get_job, "Get an unfinished answer", READS),
    }
    wanted = offered(settings, {name: annotations is WRITES for name, (_, _, annotations) in tools.items()})
    for name, (tool, title, annotations) in tools.items():
        if name in wanted:
            description = inspect.cleandoc(tool.__doc__ or "")
            server.add_tool(tool, name, title=title, description=description, annotations=annotations, icons=[ICON])
    return wanted


def _asking_for_jobs() -> Callable[..., Any]:
    """Return `ask_image` under the schema whose results may carry a job's id."""

    @wraps(ask_image)
    async def asking(*args: Any, **kwargs: Any) -> CallToolResult:
        return await ask_image(*args, **kwargs)

    signature = inspect.signature(ask_image, eval_str=True)
    returned = Annotated[CallToolResult, JobAskResult]
    asking.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    asking.__doc__ = (ask_image.__doc__ or "") + "    With a job_id the answer is not finished: call get_job.\n    "
    return asking


async def search_kb(
    query: Annotated[
        str, Field(min_length=1, max_length=1000, description="What to find, as a question or as keywords")
    ],
    top_k: Annotated[int, Field(ge=1, le=20, description="Passages at most")] = 5,
    source: Annotated[
        str | None,
        Field(max_length=1000, description="Only this file or folder of the documents; * and ? as in a shell"),
    ] = None,
    context: Annotated[int, Field(ge=0, le=3, description="Neighbouring passages to give on each side of a hit")] = 0,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, SearchResult]:
    """Search the user's own documents and return passages that can be cited.

    Use it for facts that stand in the user's files. Each hit has the file, the page, the exact characters, and
    `stale`, which is true when the file has changed since. No hits means that nothing relevant is there: say so
    instead of guessing. `degraded` says what was missing, such as a model that is still loading.
    """
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        async with heartbeat(ctx, app.heartbeat_s, lambda: "searching"):
            result = await in_thread(lambda _: _search(app.settings, query, top_k, source, context))
    text = TextContent(type="text", text=render_found(result, for_model=True))
    return CallToolResult(content=[text], structured_content=result.model_dump(mode="json"))


def _search(settings: Settings, query: str, top_k: int, source: str | None, context: int) -> SearchResult:
    from retrieval.records import Filter

    base = open_knowledge(settings)
    if base is None:
        raise NoDocuments(settings.kb)
    found = base.search(query, top_k, Filter(source=source))
    return search_result(found, lambda hit: base.neighbours(hit, context))


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
        archive = open_archive(app.settings)
        if archive is None:
            raise SessionsOff
        async with heartbeat(ctx, app.heartbeat_s, lambda: "saving"):
            summary = await in_thread(lambda _: archive.summarize(session_id, title))
    questions = "1 question" if summary.turns == 1 else f"{summary.turns} questions"
    text = TextContent(type="text", text=f"Saved {questions} in {printable(summary.path)}\n{summary.uri}")
    return CallToolResult(content=[text], structured_content=summary.model_dump(mode="json"))


async def ask_image(
    question: Annotated[
        str,
        Field(min_length=1, max_length=4000, description="What to find out, in any language the model knows"),
    ],
    images: Annotated[
        list[ImageSource],
        Field(
            max_length=8,
            description="Pictures, all meant by the one question: paths of PNG, JPEG, WebP, GIF or BMP files "
            "inside the allowed folders, absolute or relative to the first folder, or data: URLs under 4 MiB. "
            "No http: or file: addresses.",
        ),
    ] = [],  # noqa: B006 - the schema shows this default, and nobody changes it
    session_id: Annotated[
        str | None,
        Field(
            max_length=64,
            pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
            description="session_id of an earlier answer, to go on with that conversation; leave out to begin one",
        ),
    ] = None,
    use_knowledge: Annotated[
        bool, Field(description="Whether the user's documents may be searched for evidence")
    ] = True,
    effort: Annotated[
        Effort | None,
        Field(
            description="quick: one look, no check; normal: plan, answer, check; thorough: the best of several. "
            "Leave out for the user's setting"
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None, Field(ge=1, le=8192, description="Longest answer in tokens; leave out for the user's setting")
    ] = None,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, AskResult]:
    """Look at local pictures and answer a question about them with a vision model on this machine.

    Use it to describe, count, locate, read or compare what is in one or several pictures. Nothing leaves
    the machine. Returns the answer with its evidence: citations, boxes in pixels of the picture as given and
    a link to it with them drawn in, the plan, the reviewer's verdict (PASS or RETRY), and `degraded`, which
    says what was missing; trust the answer less when it is not empty. Refuses files outside the allowed
    folders, files that are no pictures, and pictures that are too large; the error says what to do. Right
    after the start the model may still be loading: call again.
    """
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        asked = Question(question, images, session_id, use_knowledge, effort, max_new_tokens)
        return await answer(app, ctx, asked)

"""The tool `search_kb`: its words and its schema, and the search on a thread."""

import threading
from typing import TYPE_CHECKING, Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent
from pydantic import Field

from lorgnette.search_source import named_source
from lorgnette.search_text import SearchResult, render_found, search_result, shortened
from mcp_server.middleware import tool_errors
from mcp_server.progress import heartbeat, in_thread
from mcp_server.state.app import App
from mcp_server.tools.ask_image import MAX_SOURCE_CHARS
from mcp_server.tools.page_links import page_links
from mcp_server.uris import document_name

if TYPE_CHECKING:
    from lorgnette.picture_query import PictureQuery

MOST_HITS, MOST_NEIGHBOURS = 20, 3
EMBEDDER_S = 10.0  # to wait for, in a server's first seconds
FIRST_SYNC_S = 15.0
"""Longest wait for the first reading of the documents, where nothing is found before."""


async def search_kb(
    query: Annotated[str, Field(min_length=1, max_length=1000, description="A question or keywords")],
    top_k: Annotated[int, Field(ge=1, description="Passages at most, up to 20")] = 5,
    source: Annotated[
        str | None,
        Field(max_length=1000, description="Only this file or folder; * and ? as in a shell"),
    ] = None,
    context: Annotated[int, Field(ge=0, description="Passages on each side of a hit, up to 3")] = 0,
    image: Annotated[str | None, Field(max_length=MAX_SOURCE_CHARS, description="A picture to search by")] = None,
    *,
    ctx: Context[App],
) -> Annotated[CallToolResult, SearchResult]:
    """Search the user's own documents and return passages that can be cited.

    Use it for facts in the user's files; "summarise FILE" gives a file's passages in order. Each hit has file, page,
    exact characters, and `stale`: the file has changed since. `match` is `relevant`, or `weak`: it may not answer, so
    say that you are not sure if your answer rests on it alone. No hits: say so. `degraded` says what was missing.
    """
    app: App = ctx.request_context.lifespan_context
    with tool_errors():
        async with heartbeat(ctx, app.heartbeat_s, lambda: "searching"):
            result = await in_thread(lambda cancel: _search(app, query, top_k, source, context, image, cancel))
    text = TextContent(type="text", text=render_found(result, for_model=True))
    return CallToolResult(content=[text, *page_links(result.hits)], structured_content=result.model_dump(mode="json"))


def _search(
    app: App, query: str, top_k: int, source: str | None, context: int, image: str | None, cancel: threading.Event
) -> SearchResult:
    from retrieval.records import Filter

    base = app.documents.required()
    notes = [f"{name}: cut to {most}, which is the most" for name, asked, most in (
        ("top_k", top_k, MOST_HITS), ("context", context, MOST_NEIGHBOURS)) if asked > most]  # fmt: skip
    asked = _of_picture(app, image, query, cancel) if image is not None else None
    meant = None
    if source is not None:
        app.first_sync.wait(FIRST_SYNC_S)  # what is not indexed yet would be called unknown
        meant = named_source(document_name(source) or source, base.document_names, app.settings.kb)

    def look() -> SearchResult:
        most, wanted = min(top_k, MOST_HITS), Filter(source=meant)
        if asked is None:
            found = base.search(query, most, wanted, wait_s=EMBEDDER_S)
        else:
            from lorgnette.picture_query import search_with_picture

            found = search_with_picture(base, asked, most, wanted, wait_s=EMBEDDER_S)
        around = min(context, MOST_NEIGHBOURS)
        return search_result(found, lambda hit: base.neighbours(hit, around), lambda hit: base.locate(hit, hit.sha256))

    result = look()
    if all(hit.match == "weak" for hit in result.hits) and not app.first_sync.is_set():
        app.first_sync.wait(FIRST_SYNC_S)
        result = look()
    if not app.first_sync.is_set():
        notes.append("documents: they are still being read for the first time; ask again for the others")
    return shortened(result.model_copy(update={"degraded": [*result.degraded, *notes]}))


def _of_picture(app: App, image: str, words: str, cancel: threading.Event) -> "PictureQuery":
    from graph.model_captioner import wants_captions
    from lorgnette.picture_query import picture_query

    agent = app.loader.opened()  # who is not there yet is not waited for
    captioner = agent.captioner if agent is not None and wants_captions(app.settings) else None
    return picture_query(image, words, app.settings.roots, captioner, cancel)

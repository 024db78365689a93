"""Registers the tools that the settings offer. Each tool's text is a prompt, read by the calling model.

Tools hold no logic of their own: `answering` lets the agent answer, `middleware` translates errors, `answer_text`
renders.
"""

import inspect
from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from lorgnette.settings import Settings
from mcp_server.icons import ICON
from mcp_server.state.app import App
from mcp_server.tools.ask_image import ask_image, asking_for_jobs
from mcp_server.tools.get_job import get_job
from mcp_server.tools.save_session_summary import save_session_summary
from mcp_server.tools.search_kb import search_kb
from mcp_server.tools.selection import offered
from mcp_server.view.register import view_of

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
ASKS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
"""Of ask_image: it adds to Lorgnette's own sessions and, where the question asks for that, writes a new report."""
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)


def add_tools(server: MCPServer[App], settings: Settings) -> set[str]:
    """Register the tools that the settings offer, and return their names.

    Raises:
        ConfigError: They name an unknown tool, or leave none.
    """
    tools: dict[str, tuple[Callable[..., Any], str, ToolAnnotations]] = {
        "ask_image": (
            asking_for_jobs() if settings.jobs else ask_image,
            "Ask about pictures",
            READS if settings.read_only else ASKS,
        ),
        "search_kb": (search_kb, "Search documents", READS),
        "save_session_summary": (save_session_summary, "Save a conversation", WRITES),
        "get_job": (get_job, "Get an unfinished answer", READS),
    }
    wanted = offered(settings, {name: annotations is WRITES for name, (_, _, annotations) in tools.items()})
    for name, (tool, title, annotations) in tools.items():
        if name in wanted:
            description = inspect.cleandoc(tool.__doc__ or "")
            server.add_tool(
                tool, name, title=title, description=description, annotations=annotations, icons=[ICON],
                meta=view_of(name),
            )  # fmt: skip
    return wanted

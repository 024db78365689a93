"""Registers the view `ui://lorgnette/answer` and names it to the tools that it shows. It is a second channel.

What tools return is complete without it; clients that show no views read a few bytes of metadata more.
"""

from importlib.resources import files
from typing import Any

from mcp.server.apps import Apps

URI = "ui://lorgnette/answer"
SHOWN = ("ask_image", "search_kb", "get_job")
"""Tools whose results it shows."""


def answer_html() -> str:
    """Return the document."""
    return (files("mcp_server.view") / "answer.html").read_text("utf-8")


def answer_view() -> Apps:
    """Return the server's extension that holds the view."""
    apps = Apps()
    apps.add_html_resource(
        URI,
        answer_html(),
        name="answer",
        title="Answer with its evidence",
        description="The pictures with boxes, the cited pages with their words framed, the plan and the check.",
        prefers_border=True,
    )
    return apps


def view_of(tool: str) -> dict[str, Any] | None:
    """Return a tool's metadata, in today's form and in the one that some hosts still read."""
    return {"ui": {"resourceUri": URI}, "ui/resourceUri": URI} if tool in SHOWN else None

"""Lorgnette from Python: ask about pictures and documents, on this machine.

    import lorgnette
    lorgnette.ask("How many objects are there?", ["examples/shapes.png"]).answer

Importing it loads nothing but this file; what a name stands for is loaded when it is first used. docs/python.md has
examples.
"""

from importlib import import_module
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.errors import LorgnetteError
    from graph.answer import Answer, Box, Citation, Event, Plan, ReviewResult, Summary
    from lorgnette.door import ask, open_agent, search
    from lorgnette.local_agent import LocalAgent
    from lorgnette.settings import Settings
    from retrieval.records import Hit, SearchOutcome

run_path(str(Path(__file__).parents[1] / "common" / "shadowing.py"))["check_packages"]()

__all__ = [
    "Answer",
    "Box",
    "Citation",
    "Event",
    "Hit",
    "LocalAgent",
    "LorgnetteError",
    "Plan",
    "ReviewResult",
    "SearchOutcome",
    "Settings",
    "Summary",
    "ask",
    "open_agent",
    "search",
]

_HOMES = {
    **dict.fromkeys(("Answer", "Box", "Citation", "Event", "Plan", "ReviewResult", "Summary"), "graph.answer"),
    **dict.fromkeys(("ask", "open_agent", "search"), "lorgnette.door"),
    "LocalAgent": "lorgnette.local_agent",
    "Settings": "lorgnette.settings",
    "LorgnetteError": "model.errors",
    **dict.fromkeys(("Hit", "SearchOutcome"), "retrieval.records"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lorgnette' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

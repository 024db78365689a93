"""`ask`, `search` and `open_agent`: what `import lorgnette` offers, on one agent that a program's questions share."""

import atexit
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graph.answer import Answer
from lorgnette.local_agent import LocalAgent
from lorgnette.settings import Settings, load_settings

if TYPE_CHECKING:
    from typing import Unpack

    from graph.question import QuestionOptions
    from lorgnette.opening import LoadProgress
    from retrieval.records import SearchOutcome

_choosing = threading.Lock()
_shared: dict[Settings, LocalAgent] = {}  # the last settings alone: two models at a time are seldom meant


def ask(
    question: str,
    images: Sequence[str | Path] = (),
    *,
    settings: Settings | None = None,
    **options: "Unpack[QuestionOptions]",
) -> Answer:
    """Answer a question; the model is loaded once and kept for the next one.

    Args:
        question: In the user's words.
        images: Paths, relative ones from the working folder, or `data:` URLs.
        settings: None reads environment and `lorgnette.yaml` as the command line does.
        options: `session_id`, `use_knowledge`, `effort`, `max_new_tokens`, `fields`, `time_budget_s`.

    Raises:
        LorgnetteError: The question, a picture or the model; its text says what to do.
    """
    return _agent(settings).ask(question, images, **options)


def search(
    query: str,
    top_k: int = 5,
    source: str | None = None,
    image: str | Path | None = None,
    *,
    settings: Settings | None = None,
) -> "SearchOutcome":
    """Search the documents; see `LocalAgent.search`."""
    return _agent(settings).search(query, top_k, source, image)


@contextmanager
def open_agent(
    settings: Settings | None = None, *, progress: "LoadProgress | None" = None, **changes: Any
) -> Iterator[LocalAgent]:
    """Open an agent of one's own, closed at the end of the body.

    Args:
        settings: None reads environment and `lorgnette.yaml` as the command line does.
        progress: Hears of the loading: its phase, and its share from 0 to 1.
        changes: Settings by name, which win over the others.

    Raises:
        ConfigError: A setting is unknown or out of range.
    """
    if settings is None:
        settings = load_settings(**changes)
    elif changes:
        settings = Settings(**{**dict(settings), **changes})
    agent = LocalAgent(settings, progress=progress)
    try:
        yield agent
    finally:
        agent.close()


def _agent(settings: Settings | None) -> LocalAgent:
    settings = load_settings() if settings is None else settings
    with _choosing:
        if settings not in _shared:
            _close()
            _shared[settings] = LocalAgent(settings)
        return _shared[settings]


@atexit.register
def _close() -> None:
    while _shared:
        _shared.popitem()[1].close()

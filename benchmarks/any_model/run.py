"""Asks one question in one way, through the agent and the remote chat model over real HTTP, and judges what came."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.any_model.server import Asked, Server, serving
from benchmarks.any_model.ways import MEANT, THOUGHT, Kind, Way
from common.errors import LorgnetteError
from graph.agent import Agent
from graph.answer import Answer
from graph.settings import AgentSettings
from model.open import open_chat
from retrieval.records import Filter, Hit, Line, SearchOutcome
from retrieval.regions.locate import Cited, Located, PageView
from retrieval.search.whole_document import WholeDocument

QUESTIONS: dict[Kind, str] = {
    "picture": "How many cups are there?",
    "where": "Where is the cup?",
    "document": "How long is the warranty of the K3?",
    "chinese": "图里有几个杯子?",
    "french": "Combien de tasses y a-t-il ?",
}
SIZE = (200, 100)
BOX = (20, 20, 100, 80)
"""Of the cup, in pixels of a picture of `SIZE`."""


class Documents:
    """Finds one passage that helps and two that do not; which, only a judge can tell where `clear` is False."""

    is_empty = False
    document_names = ("manual.md", "warranty.md")

    def __init__(self, clear: bool = False) -> None:
        """Make the passages."""
        texts = ("The K3 warranty lasts 36 months.", "The K3 weighs two kilos.", "The K2 warranty card is blue.")
        relevance = (0.9, 0.2, 0.2) if clear else (0.4, 0.3, 0.3)
        self._hits = tuple(
            Hit(
                id=f"id{n}", source="warranty.md", page=None, start=0, end=len(text), text=text, headings=(), sha256="",
                indexed_at=0.0, stale=False, score=1.0, relevance=relevance[n],
            )
            for n, text in enumerate(texts)
        )  # fmt: skip

    def search(self, query: str, top_k: int = 5, wanted: Filter | None = None, *, wait_s: float = 0.0) -> SearchOutcome:
        """Find the same whatever is asked."""
        return SearchOutcome(self._hits[:top_k], "dense+lexical")

    def asked_whole(self, question: str) -> tuple[WholeDocument, ...]:
        """Find that nobody asks for a whole document."""
        return ()

    def locate(self, cited: Cited) -> Located:
        """Say that the passages have no pages."""
        return Located()

    def page_view(self, cited: Cited, *, always: bool = False) -> PageView | None:
        """Return nothing to be seen."""
        return None

    def page_words(self, cited: Cited) -> tuple[Line, ...]:
        """Say that nobody knows where words stand."""
        return ()


@dataclass
class Outcome:
    """What came of a question."""

    answer: Answer | None
    error: str
    written: str
    """All text events."""
    asked: list[Asked]
    seconds: float

    @property
    def tokens(self) -> int:
        """About how many tokens the model read."""
        return sum(asked.tokens for asked in self.asked)

    @property
    def thinking_shown(self) -> int:
        """In how many places thinking is where it does not belong."""
        said = "" if self.answer is None else self.answer.model_dump_json()
        return sum(THOUGHT[:20] in place for place in (said, self.written, *(asked.text for asked in self.asked[1:])))


def ask(way: Way, *, clear: bool = False) -> Outcome:
    """Ask the way's question."""
    with _agent(way, clear) as (agent, server, picture):
        began, error, answer = time.monotonic(), "", None
        written: list[str] = []

        def hear(event: Any) -> None:
            if event.kind == "withdrawn":
                written.clear()
            elif event.kind == "text":
                written.append(event.text)

        try:
            answer = agent.ask(
                QUESTIONS[way.kind], [] if way.kind == "document" else [picture], effort=way.effort, on_event=hear
            )
        except LorgnetteError as failure:
            error = str(failure)
        except Exception as failure:  # before, some ended in a traceback; that is a result too
            error = f"{type(failure).__name__}: {failure}"
        return Outcome(answer, error, "".join(written), list(server.asked), time.monotonic() - began)


def judged(way: Way, outcome: Outcome) -> dict[str, Any]:
    """Return the way's row: whether the question got its answer, and what is wrong with it."""
    answer = outcome.answer
    boxes = [] if answer is None else [(box.x1, box.y1, box.x2, box.y2) for box in answer.boxes]
    wanted = [BOX] if way.kind == "where" else []
    answered = answer is not None and (
        boxes == wanted if way.kind == "where" else answer.answer == (way.answer or MEANT[way.kind]["answer"])
    )
    notes = [] if answer is None else answer.degraded
    told = any(way.note in note for note in notes) if way.note else not notes
    reviewed = answer is not None and (answer.review is not None and answer.review.verdict == "PASS") == way.reviewed
    return {
        "way": way.name,
        "seen in": way.seen,
        "answered": "yes" if answered else "no",
        "degraded as it should": "yes" if told and reviewed else "no",
        "thinking shown": outcome.thinking_shown,
        "false boxes": sum(box not in wanted for box in boxes),
        "calls": len(outcome.asked),
        "what was wrong": "" if answered and told and reviewed else outcome.error[:90] or "; ".join(notes)[:90],
    }


def is_right(row: dict[str, Any]) -> bool:
    """Return whether nothing is wrong with a row."""
    yes = row["answered"] == row["degraded as it should"] == "yes"
    return yes and not row["thinking shown"] and not row["false boxes"]


@contextmanager
def _agent(way: Way, clear: bool) -> Iterator[tuple[Agent, Server, str]]:
    with tempfile.TemporaryDirectory() as folder, serving(way.model_of()) as server:
        picture = str(Path(folder) / "cups.png")
        Image.new("RGB", SIZE, "grey").save(picture)
        settings = AgentSettings(
            model=f"{server.address}#{way.model}", roots=(Path(folder),), time_budget_s=way.budget_s
        )
        chat, identity = open_chat(settings)
        knowledge = Documents(clear) if way.kind == "document" else None
        yield Agent(chat, identity, settings, knowledge), server, picture

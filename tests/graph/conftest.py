"""The agent with a scripted chat model whose answers are written in the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from PIL import Image
from pydantic import Field

from graph.agent import Agent
from graph.archive import Archive
from graph.session_store import Sessions
from graph.settings import AgentSettings
from model.open import ModelIdentity
from retrieval.records import Hit, Line, Region, SearchOutcome
from retrieval.regions.locate import Cited, Located, PageView
from retrieval.search.whole_document import WholeDocument

USAGE = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "input_token_details": {"cache_read": 4}}


class Scripted(BaseChatModel):
    """Says the next line of its script and keeps what it was asked; an exception in the script is raised."""

    script: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    options: list[dict[str, Any]] = Field(default_factory=list)
    finish_reason: str = "stop"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _next(self, messages: list[BaseMessage]) -> str:
        self.asked.append(messages)
        line = self.script.pop(0)
        if isinstance(line, Exception):
            raise line
        return str(line)

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(self._next(messages), usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self.options.append(options)
        for letter in self._next(messages):
            yield ChatGenerationChunk(message=AIMessageChunk(content=letter))
        last = AIMessageChunk(content="", usage_metadata=USAGE, response_metadata={"finish_reason": self.finish_reason})
        yield ChatGenerationChunk(message=last)

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Runnable[Any, Any]:
        assert include_raw, "the graph needs the raw message for its conversation and its usage"

        def run(messages: list[BaseMessage], **kwargs: Any) -> dict[str, Any]:
            return {"raw": self.invoke(messages, **kwargs)}  # the graph reads it by itself

        return RunnableLambda(run)


class Documents:
    """Finds the passages that hold a word of the query, in their order."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[str] = []

    @property
    def is_empty(self) -> bool:
        return not self.texts

    @property
    def document_names(self) -> tuple[str, ...]:
        return tuple(f"{number}.md" for number in range(len(self.texts)))

    def search(self, query: str, top_k: int = 5, wanted: object = None, *, wait_s: float = 0.0) -> SearchOutcome:
        self.asked.append(query)
        words = set(query.lower().strip("?").split())
        hits = tuple(
            Hit(
                id=f"id{number}", source=f"{number}.md", page=None, start=0, end=len(text), text=text, headings=(),
                sha256="", indexed_at=0.0, stale=False, score=1.0,
            )
            for number, text in enumerate(self.texts)
            if words & set(text.lower().strip(".").split())
        )  # fmt: skip
        return SearchOutcome(hits[:top_k], "lexical", ("dense: still loading",))

    def asked_whole(self, question: str) -> tuple[WholeDocument, ...]:
        """Who says "whole" asks for a document of all passages, each of them a page."""
        if "whole" not in question:
            return ()
        hits = self.search(" ".join(self.texts), len(self.texts)).hits
        return (WholeDocument("all.md", hits, len(self.texts)),)

    def locate(self, cited: Cited) -> Located:
        """Every passage stands in the upper left quarter of page 1."""
        return Located((Region(1, 0, 0, 500, 500),), "page 1")

    def page_view(self, cited: Cited, *, always: bool = False) -> PageView | None:
        """No passage stands on a page."""
        return None

    def page_words(self, cited: Cited) -> tuple[Line, ...]:
        """Nobody knows where words stand."""
        return ()


@pytest.fixture
def picture(tmp_path: Path) -> str:
    file = tmp_path / "grey.png"
    Image.new("RGB", (200, 100), "grey").save(file)
    return str(file)


@pytest.fixture
def documents() -> type[Documents]:
    return Documents


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    sessions = Sessions(str(tmp_path / "home" / "sessions.sqlite"), tmp_path / "home" / "sessions")
    yield Archive(sessions, tmp_path / "reports")
    sessions.close()


@pytest.fixture
def agent_of(tmp_path: Path) -> Callable[..., tuple[Agent, Scripted]]:
    def make(
        *script: Any,
        name: str = "scripted",
        knowledge: Documents | None = None,
        archive: Archive | None = None,
        chat_type: type[Scripted] = Scripted,
        **settings: Any,
    ) -> tuple[Agent, Scripted]:
        chat = chat_type(script=list(script), asked=[], finish_reason=settings.pop("finish_reason", "stop"))
        identity = ModelIdentity(name=name, adapter=None, quantization=settings.pop("quantization", "none"))
        return Agent(chat, identity, AgentSettings(roots=(tmp_path,), **settings), knowledge, archive), chat

    return make

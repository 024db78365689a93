"""The agent with a scripted chat model whose answers are written in the test."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from PIL import Image
from pydantic import BaseModel, Field

from graph.errors import PictureMissing, QuestionEmpty
from graph.session import Agent
from graph.settings import AgentSettings
from graph.state import Event
from model.call import Cancelled, DeadlineExceeded
from model.errors import ImageNotFound
from model.open import ModelIdentity
from retrieval.records import Found, Hit

PLAN = '{"task":"answer","steps":["count"],"needs_knowledge":false,"queries":[]}'
PASS = '{"feedback":"3","verdict":"PASS"}'
RETRY = '{"feedback":"3","verdict":"RETRY"}'
USAGE = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "input_token_details": {"cache_read": 4}}


class Scripted(BaseChatModel):
    """Says the next line of its script and keeps what it was asked; an exception in the script is raised."""

    script: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)
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
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for letter in self._next(messages):
            yield ChatGenerationChunk(message=AIMessageChunk(letter))
        last = AIMessageChunk("", usage_metadata=USAGE, response_metadata={"finish_reason": self.finish_reason})
        yield ChatGenerationChunk(message=last)

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **_: Any) -> Runnable[Any, Any]:
        assert include_raw, "the graph needs the raw message for its conversation and its usage"

        def run(messages: list[BaseMessage], **kwargs: Any) -> dict[str, Any]:
            model: type[BaseModel] = schema
            raw = self.invoke(messages, **kwargs)
            return {"raw": raw, "parsed": model.model_validate_json(raw.text), "parsing_error": None}

        return RunnableLambda(run)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    file = tmp_path / "grey.png"
    Image.new("RGB", (200, 100), "grey").save(file)
    return str(file)


def agent_of(
    tmp_path: Path, *script: Any, name: str = "scripted", knowledge: "Documents | None" = None, **settings: Any
) -> tuple[Agent, Scripted]:
    chat = Scripted(script=list(script), asked=[], finish_reason=settings.pop("finish_reason", "stop"))
    identity = ModelIdentity(name=name, adapter=None, quantization="none")
    return Agent(chat, identity, AgentSettings(roots=(tmp_path,), **settings), knowledge), chat


def test_normal_effort_plans_answers_and_reviews(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, PLAN, "3", PASS)
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "3"
    assert answer.plan is not None and answer.plan.steps == ["count"]
    assert answer.review is not None and (answer.review.verdict, answer.review.rewrites) == ("PASS", 0)
    assert answer.usage.prefill_tokens == 3 * (10 - 4) and answer.usage.cached_tokens == 12
    assert answer.usage.new_tokens == 6
    assert len(chat.asked) == 3


def test_every_node_begins_with_the_same_messages_up_to_the_pictures(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, PLAN, "2", RETRY, "3", PASS)
    agent.ask("How many?", [picture])
    openings = [(asked[0].content, asked[1].content[0]) for asked in chat.asked]
    assert all(o == openings[0] for o in openings)


def test_reviewer_retry_rewrites_once_then_stops(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, PLAN, "2", RETRY, "3", RETRY)
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "3"
    assert answer.review is not None and (answer.review.verdict, answer.review.rewrites) == ("RETRY", 1)
    assert chat.script == []


def test_the_rewrite_continues_the_draft_and_its_review(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, PLAN, "2", RETRY, "3", PASS)
    agent.ask("How many?", [picture])
    rewrite = chat.asked[3]
    assert [m.type for m in rewrite] == ["system", "human", "ai", "human", "ai", "human"]
    assert rewrite[2].text == "2" and "The reviewer sees: 3" in rewrite[5].text


def test_quick_effort_is_one_call(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, "3")
    answer = agent.ask("How many?", [picture], effort="quick")
    assert (answer.answer, answer.plan, answer.review) == ("3", None, None)
    assert len(chat.asked) == 1


def test_events_tell_each_node_and_the_words_of_the_answer(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, PLAN, "red", PASS)
    events: list[Event] = []
    agent.ask("What color?", [picture], on_event=events.append)
    assert [(e.node, e.kind) for e in events if e.kind != "text"] == [
        ("planner", "start"), ("planner", "end"), ("responder", "start"), ("responder", "end"),
        ("reviewer", "start"), ("reviewer", "end"),
    ]  # fmt: skip
    assert "".join(e.text for e in events) == "red"
    assert [(e.new_tokens, e.cached_tokens) for e in events if e.kind == "end"] == [(2, 4)] * 3


def test_boxes_become_pixels_and_words(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, PLAN, '[{"bbox_2d": [0, 100, 500, 1000], "label": "cup"}]', PASS)
    answer = agent.ask("Where is the cup?", [picture])
    box = answer.boxes[0]
    assert (box.label, box.image, box.x1, box.y1, box.x2, box.y2) == ("cup", 0, 0, 10, 100, 100)
    assert answer.answer == "cup: x 0 to 100, y 10 to 100 (pixels)"


def test_a_cut_draft_is_marked_and_not_reviewed(tmp_path: Path, picture: str) -> None:
    agent, chat = agent_of(tmp_path, PLAN, "thr", finish_reason="length")
    answer = agent.ask("How many?", [picture])
    assert answer.truncated and answer.review is None
    assert chat.script == []


def test_a_planner_out_of_time_is_said_and_the_answer_still_comes(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, DeadlineExceeded("Plan", 1.0), "3", PASS)
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "3" and answer.plan is None
    assert any(note.startswith("plan: skipped") for note in answer.degraded)


def test_a_reviewer_out_of_time_is_said(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, PLAN, "3", DeadlineExceeded("Plan", 1.0))
    answer = agent.ask("How many?", [picture])
    assert answer.review is None
    assert any(note.startswith("review: skipped") for note in answer.degraded)


def test_a_plan_that_wants_documents_is_answered_with_a_note(tmp_path: Path, picture: str) -> None:
    plan = '{"task":"answer","steps":[],"needs_knowledge":true,"queries":["warranty"]}'
    agent, _ = agent_of(tmp_path, plan, "no", PASS)
    answer = agent.ask("Is it under warranty?", [picture])
    assert any("knowledge base" in note for note in answer.degraded)


def test_the_bundled_checkpoint_says_what_it_is_and_how_to_switch(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, "3", name="tiny")
    notes = agent.ask("How many?", [picture], effort="quick").degraded
    assert len([n for n in notes if "drawn shapes" in n and "lorgnette model pull" in n]) == 1


def test_cancel_raises(tmp_path: Path, picture: str) -> None:
    agent, _ = agent_of(tmp_path, PLAN, "3", PASS)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        agent.ask("How many?", [picture], cancel=cancel)


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(tmp_path: Path, picture: str, question: str) -> None:
    agent, _ = agent_of(tmp_path)
    with pytest.raises(QuestionEmpty):
        agent.ask(question, [picture])


def test_no_picture_is_refused(tmp_path: Path) -> None:
    agent, _ = agent_of(tmp_path)
    with pytest.raises(PictureMissing):
        agent.ask("How many?")


def test_a_missing_picture_is_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    agent, chat = agent_of(tmp_path, PLAN)
    with pytest.raises(ImageNotFound):
        agent.ask("How many?", [str(tmp_path / "absent.png")])
    assert chat.asked == []


class Documents:
    """Finds the passages that hold a word of the query, in their order."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[str] = []

    @property
    def is_empty(self) -> bool:
        return not self.texts

    def search(self, query: str, top_k: int = 5, wanted: object = None, *, wait_s: float = 0.0) -> Found:
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
        return Found(hits[:top_k], "lexical", ("dense: still loading",))


WARRANTY = "The warranty lasts 36 months. It covers the lamp."
SEARCH = '{"task":"answer","steps":[],"needs_knowledge":true,"queries":["warranty lamp"]}'


def test_passages_that_the_model_finds_helpful_are_cited(tmp_path: Path) -> None:
    documents = Documents("Fans hum loudly.", WARRANTY)
    agent, chat = agent_of(tmp_path, SEARCH, '{"relevant":[1]}', "36 months [1].", PASS, knowledge=documents)
    answer = agent.ask("How long is the warranty?")
    assert answer.answer == "36 months [1]."
    assert [(c.id, c.source, c.quote) for c in answer.citations] == [("id1", "1.md", WARRANTY)]
    assert documents.asked == ["How long is the warranty?", "warranty lamp"]
    assert f"[1] {WARRANTY}" in str(chat.asked[2][-1].content)
    assert "knowledge base: dense: still loading" in answer.degraded


def test_a_search_without_help_is_repeated_once_in_other_words(tmp_path: Path) -> None:
    documents = Documents(WARRANTY)
    agent, _ = agent_of(
        tmp_path, PLAN, '{"query":"warranty"}', '{"relevant":[1]}', "36 months [1].", PASS, knowledge=documents
    )
    answer = agent.ask("When does protection end?")
    assert documents.asked == ["When does protection end?", "warranty"]
    assert [c.id for c in answer.citations] == ["id0"]


def test_nothing_relevant_is_an_answer_and_not_a_guess(tmp_path: Path) -> None:
    agent, chat = agent_of(tmp_path, PLAN, '{"query":"cheese"}', '{"query":"milk"}', knowledge=Documents(WARRANTY))
    answer = agent.ask("Which wine?")
    assert answer.answer == "The documents do not say."
    assert answer.citations == [] and answer.review is None
    assert "knowledge base: nothing relevant was found" in answer.degraded
    assert len(chat.asked) == 2


def test_a_quoting_agent_answers_with_the_sentence_that_holds_most_of_the_question(tmp_path: Path) -> None:
    agent, _ = agent_of(tmp_path, PLAN, knowledge=Documents("Fans hum loudly.", WARRANTY), answering="quote")
    answer = agent.ask("How long does the warranty last?")
    assert answer.answer == "“The warranty lasts 36 months.” [1]"
    assert [c.id for c in answer.citations] == ["id1"]


def test_documents_are_left_alone_when_the_caller_says_so(tmp_path: Path, picture: str) -> None:
    documents = Documents(WARRANTY)
    agent, _ = agent_of(tmp_path, SEARCH, "no", PASS, knowledge=documents)
    answer = agent.ask("Is it under warranty?", [picture], use_knowledge=False)
    assert documents.asked == []
    assert any(note.startswith("knowledge base: the plan wants it") for note in answer.degraded)


def test_a_question_about_a_picture_searches_only_where_the_plan_wants_it(tmp_path: Path, picture: str) -> None:
    documents = Documents(WARRANTY)
    agent, _ = agent_of(tmp_path, PLAN, "3", PASS, knowledge=documents)
    agent.ask("How many lamp parts?", [picture])
    assert documents.asked == []

"""The agent with a scripted chat model whose answers are written in the test."""

import threading
from pathlib import Path
from typing import Any

import pytest

from graph.agent import TINY_SYSTEM
from graph.answer import Event
from graph.errors import PictureMissing, QuestionEmpty
from graph.prompts import SYSTEM as TRAINED_SYSTEM
from graph.wording.capable import SYSTEM
from lorgnette.people_text import for_people, is_standing
from model.call_options import Cancelled, DeadlineExceeded
from model.errors import ImageError

PLAN = '{"task":"answer","steps":["count"],"needs_knowledge":false,"queries":[]}'
PASS = '{"feedback":"3","verdict":"PASS"}'
RETRY = '{"feedback":"3","verdict":"RETRY"}'


def test_normal_effort_plans_answers_and_reviews(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "3", PASS)
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "3"
    assert answer.plan is not None and answer.plan.steps == ["count"]
    assert answer.review is not None and (answer.review.verdict, answer.review.rewrites) == ("PASS", 0)
    assert answer.usage.prefill_tokens == 3 * (10 - 4) and answer.usage.cached_tokens == 12
    assert answer.usage.new_tokens == 6
    assert len(chat.asked) == 3


def test_every_node_begins_with_the_same_messages_up_to_the_pictures(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "2", RETRY, "3", PASS)
    agent.ask("How many?", [picture])
    openings = [(asked[0].content, asked[1].content[0]) for asked in chat.asked]
    assert all(o == openings[0] for o in openings)


def test_a_system_text_of_the_user_stands_behind_ours_in_every_node(agent_of: Any, documents: Any) -> None:
    plan = '{"task":"answer","needs_knowledge":true,"queries":["pump"]}'
    script = (plan, '{"relevant":[1]}', "2", RETRY, "3 [1]", PASS)
    agent, chat = agent_of(*script, knowledge=documents("a pump", "the pump"), system=" Be brief.\n")
    answer = agent.ask("pump?")
    assert answer.degraded == ["knowledge base: dense: still loading"] and len(chat.asked) == 6
    systems = {asked[0].content for asked in chat.asked}
    assert len(systems) == 1 and systems.pop() == f"{SYSTEM}\n\nBe brief."


def test_a_system_text_of_the_user_is_kept_from_the_bundled_checkpoint_and_that_is_said(
    agent_of: Any, picture: str
) -> None:
    agent, chat = agent_of("3", name="tiny", system="Be brief.")
    answer = agent.ask("How many?", [picture], effort="quick")
    assert chat.asked[0][0].content == TRAINED_SYSTEM
    assert TINY_SYSTEM in answer.degraded and all(map(is_standing, answer.degraded))
    assert not any("system text" in line for line in for_people(answer, "How many?"))


def test_a_retry_rewrites_once_and_keeps_the_better_of_two_bad_drafts(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "2", RETRY, "4", RETRY, '{"feedback":"2","best":1}')
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "2"
    assert answer.review is not None and (answer.review.verdict, answer.review.rewrites) == ("RETRY", 1)
    assert "[1] 2\n[2] 4" in str(chat.asked[5][-1].content)
    assert chat.script == []


def test_the_rewrite_continues_the_draft_and_its_review(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "2", RETRY, "3", PASS)
    agent.ask("How many?", [picture])
    rewrite = chat.asked[3]
    assert [m.type for m in rewrite] == ["system", "human", "ai", "human", "ai", "human"]
    assert rewrite[2].text == "2" and "found: 3\n" in rewrite[5].text


def test_quick_effort_is_one_call(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of("3")
    answer = agent.ask("How many?", [picture], effort="quick")
    assert (answer.answer, answer.plan, answer.review) == ("3", None, None)
    assert len(chat.asked) == 1


def test_events_tell_each_node_and_the_words_of_the_answer(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, "red", PASS)
    events: list[Event] = []
    agent.ask("What color?", [picture], on_event=events.append)
    assert [(e.node, e.kind) for e in events if e.kind != "text"] == [
        ("planner", "start"), ("planner", "end"), ("responder", "start"), ("responder", "end"),
        ("reviewer", "start"), ("reviewer", "end"), ("finisher", "start"), ("finisher", "end"),
    ]  # fmt: skip
    assert "".join(e.text for e in events) == "red"
    assert [(e.new_tokens, e.cached_tokens) for e in events if e.kind == "end"] == [(2, 4)] * 3 + [(0, 0)]


def test_boxes_become_pixels_and_words(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, '[{"bbox_2d": [0, 100, 500, 1000], "label": "cup"}]', PASS)
    events: list[Event] = []
    answer = agent.ask("Where is the cup?", [picture], on_event=events.append)
    box = answer.boxes[0]
    assert (box.label, box.image, box.x1, box.y1, box.x2, box.y2) == ("cup", 0, 0, 10, 100, 100)
    assert answer.answer == "cup: x 0 to 100, y 10 to 100 (pixels)"
    assert "".join(event.text for event in events) == "", "nobody is shown boxes as the model writes them"


def test_a_cut_draft_is_marked_and_not_reviewed(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "thr", finish_reason="length")
    answer = agent.ask("How many?", [picture])
    assert answer.truncated and answer.review is None
    assert chat.script == []


def test_a_planner_out_of_time_is_said_and_the_answer_still_comes(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(DeadlineExceeded("Plan", 1.0), "3", PASS)
    answer = agent.ask("How many?", [picture])
    assert answer.answer == "3" and answer.plan is None
    assert any(note.startswith("plan: skipped") for note in answer.degraded)


def test_a_reviewer_out_of_time_is_said(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, "3", DeadlineExceeded("Plan", 1.0))
    answer = agent.ask("How many?", [picture])
    assert answer.review is None
    assert any(note.startswith("review: skipped") for note in answer.degraded)


def test_a_plan_that_wants_documents_is_answered_with_a_note(agent_of: Any, picture: str) -> None:
    plan = '{"task":"answer","steps":[],"needs_knowledge":true,"queries":["warranty"]}'
    agent, _ = agent_of(plan, "no", PASS)
    answer = agent.ask("Is it under warranty?", [picture])
    assert any("knowledge base" in note for note in answer.degraded)


def test_the_bundled_checkpoint_says_what_it_is_and_how_to_switch(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of("3", name="tiny")
    notes = agent.ask("How many?", [picture], effort="quick").degraded
    assert len([n for n in notes if "drawn shapes" in n and "lorgnette model pull" in n]) == 1


def test_cancel_raises(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, "3", PASS)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        agent.ask("How many?", [picture], cancel=cancel)


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(agent_of: Any, picture: str, question: str) -> None:
    agent, _ = agent_of()
    with pytest.raises(QuestionEmpty):
        agent.ask(question, [picture])


def test_no_picture_is_refused(agent_of: Any) -> None:
    agent, _ = agent_of()
    with pytest.raises(PictureMissing):
        agent.ask("How many?")


def test_a_missing_picture_is_refused_before_the_model_is_asked(agent_of: Any, tmp_path: Path) -> None:
    agent, chat = agent_of(PLAN)
    with pytest.raises(ImageError, match="There is no file"):
        agent.ask("How many?", [str(tmp_path / "absent.png")])
    assert chat.asked == []


WARRANTY = "The warranty lasts 36 months. It covers the lamp."
SEARCH = '{"task":"answer","steps":[],"needs_knowledge":true,"queries":["warranty lamp"]}'


def test_passages_that_the_model_finds_helpful_are_cited(agent_of: Any, documents: Any) -> None:
    found = documents("Fans hum loudly.", WARRANTY)
    agent, chat = agent_of(SEARCH, '{"relevant":[1]}', "36 months [1].", PASS, knowledge=found)
    answer = agent.ask("How long is the warranty?")
    assert answer.answer == "36 months [1]."
    assert [(c.id, c.source, c.quote) for c in answer.citations] == [("id1", "1.md", WARRANTY)]
    assert found.asked == ["How long is the warranty?", "warranty lamp"]
    assert f"[1] 1.md\n> {WARRANTY}\n" in chat.asked[2][-1].text
    assert "knowledge base: dense: still loading" in answer.degraded


def test_a_search_without_help_is_repeated_once_in_other_words(agent_of: Any, documents: Any) -> None:
    found = documents(WARRANTY)
    agent, _ = agent_of(PLAN, '{"query":"warranty"}', '{"relevant":[1]}', "36 months [1].", PASS, knowledge=found)
    answer = agent.ask("When does protection end?")
    assert found.asked == ["When does protection end?", "warranty"]
    assert [c.id for c in answer.citations] == ["id0"]


def test_nothing_relevant_is_an_answer_and_not_a_guess(agent_of: Any, documents: Any) -> None:
    agent, chat = agent_of(PLAN, '{"query":"cheese"}', '{"query":"milk"}', knowledge=documents(WARRANTY))
    answer = agent.ask("Which wine?")
    assert answer.answer == "The documents do not say."
    assert answer.citations == [] and answer.review is None
    assert "knowledge base: nothing relevant was found" in answer.degraded
    assert len(chat.asked) == 2


def test_a_quoting_agent_answers_with_the_sentence_that_holds_most_of_the_question(
    agent_of: Any, documents: Any
) -> None:
    agent, _ = agent_of(PLAN, knowledge=documents("Fans hum loudly.", WARRANTY), answering="quote")
    answer = agent.ask("How long does the warranty last?")
    assert answer.answer == "Quoted from your documents: “The warranty lasts 36 months.” [1]"
    assert [c.id for c in answer.citations] == ["id1"]


def test_documents_are_left_alone_when_the_caller_says_so(agent_of: Any, documents: Any, picture: str) -> None:
    found = documents(WARRANTY)
    agent, _ = agent_of(SEARCH, "no", PASS, knowledge=found)
    answer = agent.ask("Is it under warranty?", [picture], use_knowledge=False)
    assert found.asked == []
    assert any(note.startswith("knowledge base: the plan wants it") for note in answer.degraded)


def test_a_question_about_a_picture_searches_only_where_the_plan_wants_it(
    agent_of: Any, documents: Any, picture: str
) -> None:
    found = documents(WARRANTY)
    agent, _ = agent_of(PLAN, "3", PASS, knowledge=found)
    agent.ask("How many lamp parts?", [picture])
    assert found.asked == []

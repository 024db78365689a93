"""A decision may fail, an answer may not: what is unreadable, refused or too slow is said and done without."""

from typing import Any

import pytest

from graph.answer import Choice, Grade, Moderation, Plan, Query, Review
from graph.reading.decisions import Unreadable, read_decision, read_fields
from model.call_options import DeadlineExceeded
from model.remote.errors import RemoteFailed

PLAN = '{"task":"answer","steps":[],"needs_knowledge":false,"queries":[]}'
PASS = '{"feedback":"3","verdict":"PASS"}'
RETRY = '{"feedback":"3","verdict":"RETRY"}'
LOCATE = Plan(task="locate", steps=["look"], needs_knowledge=False, queries=[])
BROKEN = RemoteFailed("http://host/v1", "HTTP 500: oops")


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"task": "locate", "steps": ["look"], "needs_knowledge": false, "queries": []}\n```',
        'Sure! Here it is: {"task": "locate", "steps": ["look"], "needs_knowledge": false, "queries": []} Good?',
        '<think>{"task": "caption"}</think>{"task": "locate", "steps": ["look"]}',
        'I think so {maybe}</think>\n\n{"task": "locate", "steps": ["look"]}',
        '{"task": "locate", "steps": ["look"], "confidence": 0.9}',
        '{"Task": "Locate", "Steps": "look", "Needs_Knowledge": "no", "Queries": ""}',
        "{'task': 'locate', 'steps': ['look'], 'needs_knowledge': False, 'queries': []}",
        '{"task": "locate", "steps": ["look",], "needs_knowledge": false,}',
        '{task: "locate", steps: ["look"], needs_knowledge: false}',
        '{"plan": {"task": "locate", "steps": [{"step": 1, "action": "look"}]}}',
        '{"name": "Plan", "arguments": {"task": "locate", "steps": ["look"]}}',
        '{"任务": "定位", "步骤": ["look"], "需要文档": "否"}',
        '{"task": "locate", "steps": ["look"], "needs_know',
        "Task: locate\nSteps: look\nNeeds_knowledge: false",
        "**task**: locate\n**steps**: look",
        '\u007b"task": "\\u006cocate", "steps": ["look"]}',
        "{“task”: “locate”, “steps”: [“look”]}",
    ],
)
def test_a_plan_is_read_however_it_is_written(text: str) -> None:
    assert read_decision(Plan, text) == LOCATE


def test_a_step_too_many_is_dropped_and_a_long_one_cut() -> None:
    plan = read_decision(Plan, f'{{"task": "answer", "steps": ["a", "b", "c", "d"], "queries": ["{"x" * 200}"]}}')
    assert (plan.steps, len(plan.queries[0]), plan.needs_knowledge) == (["a", "b", "c"], 80, True)


@pytest.mark.parametrize("text", ["", "There are three cups.", "{}", '{"colour": "red"}', "[1, 2]", "<think>hm"])
def test_what_holds_no_plan_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read_decision(Plan, text)


@pytest.mark.parametrize(
    ("text", "verdict", "feedback"),
    [
        ("PASS", "PASS", ""), ("pass", "PASS", ""), ("**PASS**", "PASS", ""),
        ("RETRY: it is red", "RETRY", "it is red"),
        ("The answer is 3.\nVerdict: PASS", "PASS", ""), ('{"verdict": "pass", "feedback": 3}', "PASS", "3"),
        ('{"feedback": ["a", "b"], "verdict": "RETRY - wrong"}', "RETRY", "a; b"), ("通过", "PASS", ""),
        ('{"verdict": "PASSED", "answer": "3"}', "PASS", "3"), ("Looking again: 3 cups. PASS", "PASS", None),
    ],
)  # fmt: skip
def test_a_verdict_is_read_with_and_without_its_json(text: str, verdict: str, feedback: str | None) -> None:
    review = read_decision(Review, text)
    assert review.verdict == verdict
    assert feedback is None or review.feedback == feedback


@pytest.mark.parametrize(
    "text",
    ["", "3", "PASS or RETRY", "It does not pass.", "Two cars pass by the house.", '{"feedback": "3"}', "不通过"],
)
def test_what_is_no_verdict_certifies_nothing(text: str) -> None:
    with pytest.raises(Unreadable):
        read_decision(Review, text)


def test_grades_queries_and_choices_are_read_in_words_too() -> None:
    assert read_decision(Grade, '{"relevant": ["1", "[3]", 3.0]}').relevant == [1, 3]
    assert read_decision(Grade, "[1, 3]").relevant == [1, 3]
    assert read_decision(Grade, "1 and 3").relevant == [1, 3]
    assert read_decision(Grade, "None.").relevant == []
    assert read_decision(Query, "warranty lamp").query == "warranty lamp"
    assert read_decision(Query, '{"queries": ["warranty", "lamp"]}').query == "warranty; lamp"
    assert read_decision(Choice, "Draft 2").best == 2
    assert read_decision(Moderation, '{"allowed": "no", "categories": "weapons", "reason": "a knife"}') == Moderation(
        allowed=False, categories=["weapons"], reason="a knife"
    )


def test_fields_are_found_in_whatever_holds_them() -> None:
    assert read_fields(["total", "date"], '```\n{"Total": 12.5}\n```') == {"total": "12.5", "date": None}
    assert read_fields(["total"], '{"fields": {"total": "1"}}') == {"total": "1"}
    assert read_fields(["total"], "The total is 12.50.") is None


def test_an_unreadable_plan_is_asked_for_once_more(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of("I would look.", PLAN, "3", PASS)
    answer = agent.ask("How many?", [picture])
    assert (answer.answer, answer.degraded) == ("3", [])
    assert [m.type for m in chat.asked[1]] == ["system", "human", "ai", "human"]
    assert '"task", "needs_knowledge", "queries"' in chat.asked[1][-1].text


def test_without_a_plan_the_question_is_answered_and_the_documents_are_searched(
    agent_of: Any, documents: Any, picture: str
) -> None:
    found = documents("The warranty lasts 36 months.", "A warranty card.")
    agent, chat = agent_of("Hm.", "Hm!", '{"relevant": [1]}', "36 months [1].", PASS, knowledge=found)
    answer = agent.ask("How long is the warranty?", [picture])
    assert (answer.answer, answer.plan) == ("36 months [1].", None)
    assert found.asked == ["How long is the warranty?"]
    assert any(note.startswith("plan: skipped, what the model wrote could not be read") for note in answer.degraded)
    assert chat.script == []


def test_without_a_grade_the_passages_keep_their_order(agent_of: Any, documents: Any) -> None:
    found = documents("The warranty lasts 36 months.", "A warranty card.")
    agent, _ = agent_of(PLAN, BROKEN, "36 months [1].", PASS, knowledge=found)
    answer = agent.ask("How long is the warranty?")
    assert [citation.id for citation in answer.citations] == ["id0"]
    assert any(note.startswith("knowledge base: the passages were not graded, The server") for note in answer.degraded)


def test_without_a_better_query_nothing_is_found_and_that_is_said(agent_of: Any, documents: Any) -> None:
    agent, _ = agent_of(PLAN, BROKEN, knowledge=documents("The warranty lasts 36 months."))
    answer = agent.ask("Which wine?")
    assert answer.answer == "The documents do not say."
    assert any("not searched in other words" in note for note in answer.degraded)


@pytest.mark.parametrize("failure", [BROKEN, DeadlineExceeded("Review", 1.0)])
def test_without_a_review_the_answer_is_unreviewed(agent_of: Any, picture: str, failure: Exception) -> None:
    agent, _ = agent_of(PLAN, "3", failure)
    answer = agent.ask("How many?", [picture])
    assert (answer.answer, answer.review) == ("3", None)
    assert any(note.startswith("review: skipped, ") for note in answer.degraded)


def test_a_second_review_that_fails_ends_with_the_second_draft_unreviewed(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "2", RETRY, "3", BROKEN)
    answer = agent.ask("How many?", [picture])
    assert (answer.answer, answer.review, chat.script) == ("3", None, [])


def test_a_rewrite_that_fails_keeps_the_first_draft_with_its_verdict(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "2", RETRY, BROKEN)
    answer = agent.ask("How many?", [picture])
    assert (answer.answer, chat.script) == ("2", [])
    assert answer.review is not None and answer.review.verdict == "RETRY"
    assert any(note.startswith("answer: not written again as the review wished") for note in answer.degraded)


def test_a_choice_that_fails_keeps_a_draft_and_certifies_nothing(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, "two", "three", "two", "Hm.", "Hm!")
    answer = agent.ask("How many?", [picture], effort="thorough")
    assert (answer.answer, answer.review) == ("two", None)


def test_an_extraction_without_its_form_is_an_answer_in_words(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, "The total is 12.50.", "The total is 12.50!", "It says 12.50.", PASS)
    answer = agent.ask("Read it.", [picture], fields=("total",))
    assert answer.answer == "It says 12.50."
    assert any(note.startswith("answer: not in the form that was asked for") for note in answer.degraded)


def test_only_a_failing_answer_fails_the_question(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(PLAN, BROKEN)
    with pytest.raises(RemoteFailed):
        agent.ask("How many?", [picture])


def test_one_clearly_relevant_passage_is_not_graded(agent_of: Any, documents: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("graph.nodes.retriever.CLEAR", 0.0)
    found = documents("The warranty lasts 36 months.")
    agent, chat = agent_of(PLAN, "36 months [1].", PASS, knowledge=found)
    assert agent.ask("How long is the warranty?").citations
    assert len(chat.asked) == 3


def test_thinking_is_no_part_of_the_answer_the_history_or_the_words(agent_of: Any, archive: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, "<think>Two? No.</think>3", PASS, "grey", archive=archive)
    events: list[Any] = []
    answer = agent.ask("How many?", [picture], session_id="mine", on_event=events.append)
    assert answer.answer == "3"
    agent.ask("What color?", session_id="mine", effort="quick")
    assert "Two? No." not in str(chat.asked[2:])


def test_the_bundled_checkpoint_says_what_it_can_do_where_it_cannot_read(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(name="tiny")
    answer = agent.ask("Сколько их?", [picture])
    assert chat.asked == [] and answer.review is None
    assert answer.answer.startswith("The bundled checkpoint understands English and Chinese")


def test_the_bundled_checkpoint_is_asked_in_chinese(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of("3", name="tiny")
    assert agent.ask("图里有几个?", [picture], effort="quick").answer == "3"
    assert len(chat.asked) == 1


def test_boxes_of_the_bundled_checkpoint_are_checked_too(agent_of: Any, picture: str) -> None:
    wrong, right = (f'[{{"bbox_2d": [{left}, 100, 500, 1000], "label": "cup"}}]' for left in (0, 400))
    seen = "cup at 400 100 500 1000"
    reviews = [f'{{"feedback":"{seen}","verdict":"{verdict}"}}' for verdict in ("RETRY", "PASS")]
    agent, chat = agent_of(PLAN, wrong, reviews[0], right, reviews[1], name="tiny")
    answer = agent.ask("Where is the cup?", [picture])
    assert len(chat.asked) == 5 and answer.review is not None and answer.review.verdict == "PASS"
    assert answer.answer.startswith("cup: x 80 to 100"), "of 200 pixels"


def test_forms_of_the_bundled_checkpoint_are_not_checked_and_that_is_said(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(PLAN, '{"colour": "red"}', name="tiny")
    answer = agent.ask("Fill in the form.", [picture], fields=("colour",))
    assert len(chat.asked) == 2 and answer.review is None
    assert "review: skipped, the bundled checkpoint was taught no forms" in answer.degraded


def test_a_question_in_a_language_that_the_bundled_checkpoint_was_not_taught_saves_nothing(
    agent_of: Any, picture: str
) -> None:
    agent, _ = agent_of(PLAN.replace("answer", "archive"), "5", '{"feedback":"5","verdict":"PASS"}', name="tiny")
    answer = agent.ask("Wie viele Dinge sind es?", [picture])
    assert answer.answer == "5" and answer.plan is not None and answer.plan.task == "answer"


def test_the_bundled_checkpoint_quotes_documents_in_chinese(agent_of: Any, documents: Any) -> None:
    plan = '{"task": "answer", "steps": [], "needs_knowledge": true, "queries": ["保修 多久"]}'
    agent, _ = agent_of(plan, PASS, name="tiny", knowledge=documents("保修 三年。"))
    assert agent.ask("保修 多久?").answer.startswith("摘自您的文档")

"""What the plan decides is acted on: each task has its own words and its own form of answer."""

import json
from typing import Any

import pytest

from graph.prompts import CHINESE, ENGLISH, SYSTEM
from graph.wording.capable import CAPABLE_CHINESE, CAPABLE_ENGLISH
from graph.wording.language import prompts_for

PASS = '{"feedback":"x","verdict":"PASS"}'


def plan(task: str, **changes: Any) -> str:
    return json.dumps({"task": task, "steps": [], "needs_knowledge": False, "queries": []} | changes)


@pytest.mark.parametrize("task", ["answer", "caption", "read_text", "locate", "compare", "solve"])
def test_each_task_is_asked_in_its_own_words(agent_of: Any, picture: str, task: str) -> None:
    agent, chat = agent_of(plan(task), "said", PASS)
    agent.ask("What is it?", [picture])
    asked = chat.asked[1][-1].content[-1]["text"]
    assert asked == CAPABLE_ENGLISH.tasks.get(task, CAPABLE_ENGLISH.answer).format(question="What is it?")


def test_the_bundled_checkpoint_is_asked_in_the_words_it_was_trained_on(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("caption"), "a circle", PASS, name="tiny")
    agent.ask("What is it?", [picture])
    assert [asked[0].text for asked in chat.asked] == [SYSTEM] * 3
    assert [asked[-1].text or asked[-1].content[-1]["text"] for asked in chat.asked] == [
        ENGLISH.plan.format(question="What is it?"),
        ENGLISH.tasks["caption"].format(question="What is it?"),
        ENGLISH.review,
    ]


def test_a_chinese_question_is_asked_in_chinese(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("caption"), "一个圆", PASS)
    agent.ask("这张图片里有什么?", [picture])
    words = CAPABLE_CHINESE
    assert [asked[-1].text or asked[-1].content[-1]["text"] for asked in chat.asked] == [
        words.plan.format(question="这张图片里有什么?", documents=words.no_documents),
        words.tasks["caption"].format(question="这张图片里有什么?"),
        words.review.format(question="这张图片里有什么?", criteria=words.review_criteria["pictures"]),
    ]


def test_the_language_is_that_of_most_of_the_words() -> None:
    assert prompts_for("How many?") is ENGLISH
    assert prompts_for("多少个?") is CHINESE
    assert prompts_for("打开 settings 里的网络开关") is CHINESE
    assert prompts_for("What does 开 mean in this sentence?") is ENGLISH
    assert prompts_for("これは何ですか。漢字") is ENGLISH
    assert prompts_for("12 + 3 = ?") is ENGLISH


def test_the_callers_fields_come_back_as_json(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("answer"), '{"total": "12.50", "date": null}', PASS)
    answer = agent.ask("Read the receipt.", [picture], fields=["total", "date"])
    assert json.loads(answer.answer) == {"total": "12.50", "date": None}
    assert answer.plan is not None
    assert answer.plan.task == "extract"
    assert "total, date" in chat.asked[1][-1].content[-1]["text"]


def test_extraction_without_fields_names_what_it_finds(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(plan("extract"), '{"items":[{"name":"total","value":"12.50"}]}', PASS)
    assert json.loads(agent.ask("Extract everything.", [picture]).answer) == {"total": "12.50"}


def test_moderation_gives_a_verdict_with_its_reason(agent_of: Any, picture: str) -> None:
    verdict = '{"allowed":false,"categories":["weapons"],"reason":"a knife"}'
    agent, _ = agent_of(plan("moderate"), verdict, PASS)
    assert json.loads(agent.ask("May this be posted?", [picture]).answer) == json.loads(verdict)


def test_thorough_writes_several_drafts_and_lets_the_reviewer_choose(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("answer"), "two", "three", "two", '{"feedback":"three","best":2}')
    events: list[Any] = []
    answer = agent.ask("How many?", [picture], effort="thorough", on_event=events.append)
    assert answer.answer == "three"
    assert answer.review is not None
    assert (answer.review.verdict, answer.review.feedback) == ("PASS", "three")
    assert "[1] two\n[2] three" in chat.asked[4][-1].text
    assert [options.get("temperature") for options in chat.options] == [None, 0.8, 0.8]
    assert "".join(event.text for event in events) == "two", "drafts that may be dropped are not shown"


def test_thorough_with_drafts_that_agree_is_reviewed_as_usual(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("answer"), "two", "two", "two", PASS)
    answer = agent.ask("How many?", [picture], effort="thorough")
    assert (answer.answer, chat.script) == ("two", [])


def test_a_choice_of_a_draft_that_does_not_exist_is_caught(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of(plan("answer"), "two", "three", "two", '{"feedback":"?","best":9}')
    answer = agent.ask("How many?", [picture], effort="thorough")
    assert answer.answer == "three"
    assert "review: it chose a draft that does not exist, the latest was kept" in answer.degraded


def test_an_empty_draft_is_named(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of(plan("answer"), "  ")
    answer = agent.ask("How many?", [picture])
    assert answer.answer == ""
    assert any(note.startswith("answer: the model wrote nothing") for note in answer.degraded)
    assert chat.script == []


def test_a_plan_that_searches_for_nothing_is_named_and_the_question_searched(agent_of: Any, documents: Any) -> None:
    found = documents("The warranty lasts 36 months.")
    agent, _ = agent_of(plan("answer", needs_knowledge=True), '{"relevant":[1]}', "36 [1].", PASS, knowledge=found)
    answer = agent.ask("How long is the warranty?")
    assert found.asked == ["How long is the warranty?"]
    assert "plan: it names nothing to search for, the question itself was searched" in answer.degraded


def test_a_citation_of_no_passage_is_named_and_left_out(agent_of: Any, documents: Any) -> None:
    found = documents("The warranty lasts 36 months.")
    agent, _ = agent_of(plan("answer"), '{"relevant":[1]}', "36 months [1], lamp [7].", PASS, knowledge=found)
    answer = agent.ask("How long is the warranty?")
    assert [citation.id for citation in answer.citations] == ["id0"]
    assert "citation: there is no passage [7]" in answer.degraded


def test_a_question_of_fifty_thousand_characters_is_answered_or_refused_in_one_sentence(
    agent_of: Any, picture: str
) -> None:
    agent, _ = agent_of(plan("answer"), "no", PASS)
    assert agent.ask("why " * 12_500, [picture]).answer == "no"


def test_each_node_is_a_span_where_opentelemetry_is_set_up(agent_of: Any, picture: str) -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter, provider = export.InMemorySpanExporter(), trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    agent, _ = agent_of(plan("answer"), "3", PASS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
        agent.ask("How many?", [picture])
    spans = {span.name: dict(span.attributes) for span in exporter.get_finished_spans()}
    assert list(spans) == ["lorgnette.planner", "lorgnette.responder", "lorgnette.reviewer", "lorgnette.finisher"]
    assert spans["lorgnette.responder"] == {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "lorgnette.cached_tokens": 4,
    }

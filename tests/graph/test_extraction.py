"""Values that are extracted from documents stay JSON, and the passages that hold them are cited."""

import json
from typing import Any

import pytest

from graph.answer import Passage
from graph.evidence.values import cite_values

PASS = '{"feedback":"36 months","verdict":"PASS"}'
PLAN = '{"task":"answer","needs_knowledge":true,"queries":["warranty microscope"]}'
TEXTS = ("The warranty of the microscope lasts 36 months.", "The microscope K3 weighs 2.4 kg.")


def passages(*texts: str) -> list[Passage]:
    return [
        Passage(id=f"id{n}", source=f"{n}.md", page=None, start=0, end=len(text), text=text)
        for n, text in enumerate(texts)
    ]


def test_fields_are_filled_in_from_the_passages_that_are_cited(agent_of: Any, documents: Any) -> None:
    values = '{"warranty": "36 months", "weight": "2.4 kg [2]", "price": null}'
    agent, chat = agent_of(PLAN, '{"relevant":[1,2]}', values, PASS, knowledge=documents(*TEXTS))
    answer = agent.ask("What are the terms?", fields=("warranty", "weight", "price"))
    assert json.loads(answer.answer) == {"warranty": "36 months", "weight": "2.4 kg", "price": None}
    assert [citation.source for citation in answer.citations] == ["0.md", "1.md"]
    assert not any("citation" in note or "form" in note for note in answer.degraded)
    asked = chat.asked[2][-1].content[-1]["text"]
    assert "exactly these keys: warranty, weight, price" in asked and "36 months." in asked
    assert "put a passage's number" not in asked


def test_a_value_that_no_passage_holds_is_named(agent_of: Any, documents: Any) -> None:
    values = '{"warranty": "48 months", "weight": "2.4 kg"}'
    agent, _ = agent_of(PLAN, '{"relevant":[1,2]}', values, PASS, knowledge=documents(*TEXTS))
    answer = agent.ask("What are the terms?", fields=("warranty", "weight"))
    assert [citation.source for citation in answer.citations] == ["1.md"]
    assert "citation: no passage was found that says 'warranty: 48 months'" in answer.degraded


def test_a_plan_to_extract_names_its_own_fields(agent_of: Any, documents: Any) -> None:
    plan = PLAN.replace('"answer"', '"extract"')
    items = '{"items": [{"name": "warranty", "value": "36 months"}]}'
    agent, chat = agent_of(plan, '{"relevant":[1]}', items, PASS, knowledge=documents(*TEXTS))
    answer = agent.ask("Extract the terms.")
    assert json.loads(answer.answer) == {"warranty": "36 months"} and len(answer.citations) == 1
    assert '{"items": [' in chat.asked[2][-1].content[-1]["text"]


def test_with_a_picture_a_value_may_come_from_it(agent_of: Any, documents: Any, picture: str) -> None:
    values = '{"warranty": "36 months", "serial": "X-991"}'
    agent, _ = agent_of(PLAN, '{"relevant":[1,2]}', values, PASS, knowledge=documents(*TEXTS))
    answer = agent.ask("What are the terms?", [picture], fields=("warranty", "serial"))
    assert [citation.source for citation in answer.citations] == ["0.md"]
    assert not any(note.startswith("citation") for note in answer.degraded)


def test_quick_effort_fills_in_fields_from_documents_too(agent_of: Any, documents: Any) -> None:
    agent, _ = agent_of('{"relevant":[1,2]}', '{"weight": "2.4 kg"}', knowledge=documents(*TEXTS))
    answer = agent.ask("microscope?", fields=("weight",), effort="quick")
    assert json.loads(answer.answer) == {"weight": "2.4 kg"} and answer.boxes == []
    assert [citation.source for citation in answer.citations] == ["1.md"]


def test_fields_of_which_the_documents_say_nothing_are_null(agent_of: Any, documents: Any) -> None:
    agent, _ = agent_of(PLAN, '{"query": "bill"}', knowledge=documents("Nothing here."))
    answer = agent.ask("What is the price?", fields=("price",))
    assert json.loads(answer.answer) == {"price": None}


def test_who_only_quotes_says_that_the_form_is_missing(agent_of: Any, documents: Any) -> None:
    agent, _ = agent_of(knowledge=documents(*TEXTS), name="tiny")
    answer = agent.ask("How long does the warranty last?", fields=("warranty",), effort="quick")
    assert "36 months" in answer.answer
    assert "answer: not in the form that was asked for, documents are quoted as they are (answering)" in answer.degraded


def test_words_in_place_of_the_form_are_cited_as_words(agent_of: Any, documents: Any) -> None:
    prose = "The warranty lasts 36 months [1]."
    agent, _ = agent_of(PLAN, '{"relevant":[1]}', prose, prose, prose, PASS, knowledge=documents(*TEXTS))
    answer = agent.ask("What are the terms?", fields=("warranty",))
    assert answer.answer == prose and len(answer.citations) == 1
    assert any("not in the form" in note for note in answer.degraded)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("36 months", 0),
        ("36 Months", 0),
        ("36", 0),
        ("6", None),
        ("360 months", None),
        ("lasting 36 months for the microscope's warranty", 0),
        ("2.4 kg", 1),
        ("K3", 1),
        ("24 kg", None),
        ("三十六个月", None),
        ("—", None),
    ],
)
def test_where_a_value_stands(value: str, place: int | None) -> None:
    cited = cite_values(json.dumps({"v": value}), passages(*TEXTS))
    assert cited is not None
    assert [citation.source for citation in cited.citations] == ([] if place is None else [f"{place}.md"])
    assert bool(cited.unsupported) == (place is None)


def test_chinese_values_are_found_in_chinese_passages() -> None:
    cited = cite_values('{"审批人": "王敏", "天数": "三天"}', passages("请假超过三天需要人事经理王敏签字。"))
    assert cited is not None and len(cited.citations) == 1 and cited.unsupported == []


def test_a_mark_of_no_passage_and_a_bracket_that_is_the_value_stay() -> None:
    cited = cite_values('{"a": "K3 [7]", "b": "[1]", "c": ["K3", {"d": 36}]}', passages(*TEXTS))
    assert cited is not None
    assert json.loads(cited.text) == {"a": "K3 [7]", "b": "[1]", "c": ["K3", {"d": 36}]}
    assert cite_values("[1, 2]", passages(*TEXTS)) is None and cite_values("words", passages(*TEXTS)) is None

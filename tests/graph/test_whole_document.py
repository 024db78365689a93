"""A document that a question asks for as a whole is read so, as far as the budget goes; what was left out is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.answer import Answer, Passage
from graph.evidence.passages import leading
from graph.evidence.whole import whole_evidence
from graph.history import estimated_tokens
from retrieval.knowledge_base import KnowledgeBase
from retrieval.search.whole_document import WholeDocument
from retrieval.settings import RetrievalSettings
from tests.graph.conftest import Documents

PLAN = '{"task":"archive","needs_knowledge":false,"queries":[]}'
PASS = '{"feedback":"It lasts three years","verdict":"PASS"}'
PARTS = [f"## Part {n}\n\n" + f"Part {n} of the terms names the day number {n} of the month. " * 12 for n in range(8)]


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "warranty.md").write_text("The warranty lasts three years.\n\nLamps are excluded.", "utf-8")
    (folder / "terms.md").write_text("\n\n".join(PARTS), "utf-8")
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none"), tmp_path / "home")
    base.sync()
    yield base
    base.close()


@pytest.mark.parametrize("question", ["Summarise warranty.md", "总结一下 warranty.md", "What is in warranty.md?"])
def test_a_named_document_is_read_whole_whatever_the_plan_says_and_nothing_is_archived(
    agent_of: Any, base: KnowledgeBase, question: str
) -> None:
    agent, chat = agent_of(PLAN, "It lasts three years [1].", PASS, knowledge=base)
    answer: Answer = agent.ask(question)
    asked = str(chat.asked[1][-1].content)
    assert "The warranty lasts three years." in asked and "Lamps are excluded." in asked and "terms.md" not in asked
    assert [citation.source for citation in answer.citations] == ["warranty.md"]
    assert answer.degraded == [] and chat.script == [], "all of it was read, and nobody graded it"


def test_what_of_a_long_document_does_not_fit_is_left_out_evenly_and_said(agent_of: Any, base: KnowledgeBase) -> None:
    agent, chat = agent_of("It names days [1].", knowledge=base, document_tokens=800)
    answer: Answer = agent.ask("Summarise the file terms.md, please", effort="quick")
    asked = str(chat.asked[0][-1].content)
    read = [n for n in range(8) if f"day number {n} of" in asked]
    assert read[0] == 0 and read[-1] == 7 and 2 <= len(read) < 8
    assert answer.degraded == [
        f"knowledge base: terms.md is too long to be read whole: {len(read)} of its 8 passages were read, its "
        "beginning and others spread over the rest; document_tokens in the settings allows more"
    ]


def test_a_whole_document_is_read_beside_a_picture_too(agent_of: Any, base: KnowledgeBase, picture: str) -> None:
    agent, chat = agent_of("No.", knowledge=base)
    agent.ask("Summarise warranty.md", [picture], effort="quick")
    assert "Lamps are excluded." in str(chat.asked[0][-1].content)


def test_who_cannot_write_about_a_document_quotes_how_it_begins(agent_of: Any, base: KnowledgeBase) -> None:
    agent, _ = agent_of(name="tiny", knowledge=base)
    answer: Answer = agent.ask("Summarise warranty.md", effort="quick")
    assert "“The warranty lasts three years.” [1]" in answer.answer
    assert answer.citations[0].source == "warranty.md"


def test_of_a_mail_the_letter_is_quoted_and_not_its_fields() -> None:
    mail = (
        "# Your appointment\n\nFrom: Gary <gary@example.org>\nDate: Mon, 08 Jan 2024\n\nThank you. I come on Thursday."
    )
    passage = Passage(id="1", source="boiler.eml", page=None, start=0, end=9, text=mail, score=1.0)
    assert leading([passage]) == "“Thank you.” [1] “I come on Thursday.” [1]"


def test_all_of_a_small_base_can_be_summarised(agent_of: Any, base: KnowledgeBase) -> None:
    agent, chat = agent_of("Both are terms [1].", knowledge=base)
    agent.ask("Summarise my documents", effort="quick")
    asked = str(chat.asked[0][-1].content)
    assert "Lamps are excluded." in asked and "day number 7 of" in asked


def test_the_conversation_is_still_saved_when_that_is_what_was_asked(agent_of: Any, base: KnowledgeBase) -> None:
    agent, _ = agent_of(PLAN, knowledge=base)
    assert "nothing to save" in agent.ask("Save this conversation").answer


def test_several_documents_share_the_budget_and_what_one_leaves_the_next_has() -> None:
    def document(name: str, *texts: str) -> WholeDocument:
        return WholeDocument(name, Documents(*texts).search(" ".join(texts), 99).hits, len(texts))

    short, long = (
        document("short.md", "a word"),
        document("long.md", *[f"word {n} " + "of many " * 50 for n in range(9)]),
    )
    each = estimated_tokens("word 1 " + "of many " * 50)
    notes: list[str] = []
    found = whole_evidence([short, long], 2 + 6 * each, notes)
    assert [passage.text[:6].strip() for passage in found] == ["a word", *(f"word {n}" for n in (0, 1, 3, 5, 7, 8))]
    assert len(notes) == 1 and "long.md" in notes[0] and "6 of its 9" in notes[0]
    assert len(whole_evidence([long], 1, [])) == 1, "something is always read"

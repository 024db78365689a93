"""Every way in which servers and models were seen to answer, through the agent, over real HTTP."""

import pytest

from benchmarks.any_model.run import ask, is_right, judged
from benchmarks.any_model.ways import WAYS, Way, plain


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_each_way_gets_its_answer(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    row = judged(way, ask(way))
    assert is_right(row), row


def test_a_question_about_documents_with_one_relevant_passage_takes_three_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    outcome = ask(Way("documents", "", plain, "document"), clear=True)
    assert [asked.step for asked in outcome.asked] == ["plan", "answer", "review"]

"""A language model as reranker: it reads each passage with the question, and what it says yes to comes first."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from graph.model_reranker import PAIR, judge_of
from model.open import open_chat
from model.qwen3_vl.chat import ChatQwen3VL
from model.served import ServedModel
from model.settings import ModelSettings
from model.worker import ModelBusy
from retrieval.knowledge_base import KnowledgeBase
from retrieval.search.rerank import BudgetedReranker, RerankerMissing, is_generative
from retrieval.settings import RetrievalSettings


@pytest.fixture(scope="module")
def tiny() -> Any:
    chat, _ = open_chat(ModelSettings(model="tiny"))
    yield chat
    chat.close()  # type: ignore[attr-defined]


def base_of(tmp_path: Path, **settings: Any) -> KnowledgeBase:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.md").write_text("The lamp is bright, the lamp is round.", "utf-8")
    (folder / "b.md").write_text("This lamp weighs two kilograms.", "utf-8")
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="no-such-model", **settings), tmp_path / "home")
    base.sync()
    return base


def test_the_shares_of_yes_and_no_sum_up_to_one_and_follow_the_model(tiny: ChatQwen3VL) -> None:
    """The checkpoint answers a yes-no question about a picture with the word that it finds likelier."""
    yes, no = tiny.choice_probabilities([HumanMessage("Is there a red circle?")], ("yes", "no"))
    assert yes + no == pytest.approx(1.0)
    said = tiny.invoke([HumanMessage("Is there a red circle?")], max_new_tokens=4).text
    if said in ("yes", "no"):
        assert (said == "yes") == (yes > no)
    swapped = tiny.choice_probabilities([HumanMessage("Is there a red circle?")], ("no", "yes"))
    assert swapped == pytest.approx([no, yes], abs=1e-5)


def test_hits_come_in_the_order_of_the_judge_and_say_so(tmp_path: Path) -> None:
    base = base_of(tmp_path, reranker="model")
    plain = base.search("lamp", top_k=2)
    assert "reranker: skipped, its model is not loaded here" in plain.degraded
    judge = BudgetedReranker("judge", lambda _, passages: [float("kilograms" in text) for text in passages])
    base.use_reranker(judge)
    found = base.search("lamp", top_k=1)
    base.close()
    assert [(hit.source, hit.score, hit.rerank_score) for hit in found.hits] == [("b.md", 1.0, 1.0)]
    assert found.mode.endswith("+rerank")


def test_the_local_model_judges_each_passage_with_the_question(tiny: ChatQwen3VL, tmp_path: Path) -> None:
    base = base_of(tmp_path, reranker="model", rerank_budget_s=60)
    base.use_reranker(judge_of(tiny, "tiny"))
    found = base.search("How heavy is the lamp?", top_k=2)
    base.close()
    assert len(found.hits) == 2
    scores = [hit.rerank_score for hit in found.hits]
    assert all(score is not None and 0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]


def test_a_model_behind_an_address_cannot_judge() -> None:
    remote, _ = open_chat(ModelSettings(model="http://127.0.0.1:1/v1#name"))
    with pytest.raises(RerankerMissing, match="name a local one"):
        judge_of(remote, "model")


def test_a_qwen3_vl_folder_is_known_as_a_generative_reranker() -> None:
    from model.hub import tiny_folder

    assert is_generative("model")
    assert is_generative(str(tiny_folder()))
    assert not is_generative("auto")
    assert not is_generative("/no/such/folder")


def test_the_question_stands_in_front_of_the_passage_so_that_it_is_read_once() -> None:
    assert PAIR.index("{query}") < PAIR.index("{passage}")


def test_a_model_that_fails_leaves_the_order_and_is_said(tmp_path: Path) -> None:
    class Broken(ServedModel):
        gives_probabilities = True

        def choice_probabilities(self, *_: Any, **__: Any) -> list[float]:
            raise ModelBusy(8)

    base = base_of(tmp_path, reranker="model")
    plain = [hit.source for hit in base.search("lamp", top_k=2).hits]
    base.use_reranker(judge_of(Broken(), "model"))  # type: ignore[arg-type]  # it is asked for nothing else
    found = base.search("lamp", top_k=2)
    base.close()
    assert [hit.source for hit in found.hits] == plain
    assert any(note.startswith("reranker: skipped, The model is busy") for note in found.degraded)

"""Reranking: the order by a scripted scorer, the budget by a scripted clock, and CrossEncoder's own loading code."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from retrieval.search.rerank import BudgetedReranker, CrossEncoderReranker, RerankerMissing, open_reranker

PASSAGES = ["bb", "a", "dddd", "ccc"]


class Scripted:
    """Scores a passage by its length and lets a second pass for each."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.now = 100.0
        self.seconds = seconds
        self.batches: list[int] = []

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        self.now += self.seconds * len(passages)
        self.batches.append(len(passages))
        return [len(passage) / 10 for passage in passages]

    def reranker(self) -> BudgetedReranker:
        return BudgetedReranker("scripted", self.score, clock=lambda: self.now)


def test_the_best_read_passage_comes_first() -> None:
    result = Scripted(seconds=0.0).reranker().rerank("q", PASSAGES, budget_s=1.0)
    assert (result.order, result.scores, result.skipped) == ((2, 3, 0, 1), (0.2, 0.1, 0.4, 0.3), None)


def test_what_the_budget_does_not_reach_stays_behind_in_its_order_and_is_told() -> None:
    scripted = Scripted()
    result = scripted.reranker().rerank("q", [*PASSAGES, "eeeee", "f"], budget_s=3.5)
    assert scripted.batches == [1, 2]
    assert result.order == (2, 0, 1, 3, 4, 5)
    assert result.scores == (0.2, 0.1, 0.4, None, None, None)
    assert result.skipped == "reranker: read 3 of 6 passages in 3.5 s"
    assert scripted.now - 100.0 <= 3.5


def test_a_budget_of_nothing_reads_nothing() -> None:
    result = Scripted().reranker().rerank("q", PASSAGES, budget_s=0.0)
    assert (result.order, result.scores) == ((0, 1, 2, 3), (None,) * 4)
    assert result.skipped == "reranker: read 0 of 4 passages in 0 s"


def test_no_passages_are_no_work_and_nothing_skipped() -> None:
    assert Scripted().reranker().rerank("q", [], budget_s=0.0).skipped is None


def test_equal_scores_keep_the_order_of_the_search() -> None:
    assert Scripted().reranker().rerank("q", ["aa", "bb", "cc"], budget_s=9.0).order == (0, 1, 2)


def test_batches_grow_but_not_for_ever() -> None:
    scripted = Scripted(seconds=0.001)
    scripted.reranker().rerank("q", ["x"] * 60, budget_s=60.0)
    assert scripted.batches == [1, 2, 4, 8, 16, 16, 13]


def test_none_is_no_reranker_and_no_complaint() -> None:
    assert open_reranker("none") == (None, None)


def test_auto_says_so_where_the_default_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.search.rerank.model_folder", lambda name: None)
    reranker, reason = open_reranker("auto")
    assert reranker is None
    assert reason is not None
    assert "lorgnette model pull BAAI/bge-reranker-base" in reason


def test_a_named_reranker_that_is_missing_is_an_error() -> None:
    with pytest.raises(RerankerMissing, match="model pull no-such/reranker"):
        open_reranker("no-such/reranker")


def xlm_roberta(folder: Path, labels: int) -> None:
    """Save a random XLM-R of 2 layers and 32 dimensions that splits at spaces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification

    words = ["<s>", "<pad>", "</s>", "<unk>", "wing", "lift", "heat", "flow"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", model_max_length=64, **special
    ).save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        type_vocab_size=1,
        num_labels=labels,
    )
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cross_encoder_folder_scores_each_pair_between_0_and_1(tmp_path: Path) -> None:
    xlm_roberta(tmp_path, labels=1)
    reranker, reason = open_reranker(str(tmp_path))
    assert reason is None
    assert reranker is not None
    passages = ["heat flow", "wing lift lift wing", "lift"]
    result = reranker.rerank("wing lift", passages, budget_s=600.0)
    scores = [score for score in result.scores if score is not None]
    assert (len(scores), result.skipped) == (3, None)
    assert all(0 < score < 1 for score in scores)
    assert list(result.order) == sorted(range(3), key=lambda n: -scores[n])
    alone = reranker.rerank("wing lift", passages[1:2], budget_s=600.0)
    assert alone.scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_classifier_of_three_labels_is_no_reranker(tmp_path: Path) -> None:
    xlm_roberta(tmp_path, labels=3)
    with pytest.raises(RerankerMissing, match="3 scores"):
        CrossEncoderReranker(str(tmp_path))

"""Merging by hand-worked numbers, and what a blind side may do."""

import pytest

from retrieval.search.fusion import Fused, fuse, lexical_weight
from retrieval.tokens import document_tokens

DENSE = [(1, 1.0), (2, 0.5), (3, 0.0)]
LEXICAL = [(3, 12.0), (4, 8.0), (2, 4.0)]


def test_min_max_adds_stretched_scores_and_keeps_what_each_side_said() -> None:
    assert fuse(DENSE, LEXICAL, method="minmax") == [
        Fused(1, 0.5, 1, 1.0),
        Fused(3, 0.5, 3, 0.0, 1, 12.0),
        Fused(2, 0.25, 2, 0.5, 3, 4.0),
        Fused(4, 0.25, None, None, 2, 8.0),
    ]


def test_reciprocal_ranks_are_those_of_the_paper() -> None:
    scores = {hit.number: hit.score for hit in fuse(DENSE, LEXICAL, method="rrf")}
    assert scores == pytest.approx({1: 1 / 61, 2: 1 / 62 + 1 / 63, 3: 1 / 63 + 1 / 61, 4: 1 / 62})
    assert list(scores) == [3, 2, 1, 4]


@pytest.mark.parametrize("method", ["minmax", "rrf"])
def test_a_blind_side_changes_nothing(method: str) -> None:
    alone = [1, 2, 3]
    assert [hit.number for hit in fuse(DENSE, LEXICAL, method=method, lexical_weight=0.0)] == alone  # type: ignore[arg-type]
    assert [hit.number for hit in fuse(DENSE, [], method=method)] == alone  # type: ignore[arg-type]
    assert [hit.number for hit in fuse(DENSE, LEXICAL, method=method, dense_weight=0.0)] == [3, 4, 2]  # type: ignore[arg-type]


def test_a_half_blind_side_counts_half() -> None:
    scores = {hit.number: hit.score for hit in fuse(DENSE, LEXICAL, method="minmax", lexical_weight=0.5)}
    assert scores == pytest.approx({1: 1 / 1.5, 2: 0.5 / 1.5, 3: 0.5 / 1.5, 4: 0.25 / 1.5})


@pytest.mark.parametrize("method", ["minmax", "rrf"])
def test_nothing_found_is_nothing(method: str) -> None:
    assert fuse([], [], method=method) == []  # type: ignore[arg-type]
    assert fuse(DENSE, LEXICAL, method=method, dense_weight=0.0, lexical_weight=0.0) == []  # type: ignore[arg-type]


def test_candidates_that_are_all_alike_are_all_best() -> None:
    assert [hit.score for hit in fuse([(1, 0.3), (2, 0.3)], [], method="minmax", lexical_weight=0.0)] == [1.0, 1.0]


def test_equal_scores_come_in_the_order_of_numbers() -> None:
    assert [hit.number for hit in fuse([(9, 1.0), (4, 1.0)], [], method="minmax")] == [4, 9]


def weight(query: str, passages: list[str]) -> float:
    frequencies = {t: sum(t in document_tokens(p) for p in passages) for t in document_tokens(query)}
    return lexical_weight(query, frequencies, len(passages))


ENGLISH = [f"the panthers won game {n} of the season" for n in range(50)]


def test_the_lexical_side_sees_a_question_in_the_passages_language() -> None:
    assert weight("where is the unknownword of unseen things", ENGLISH) == 1.0


def test_the_lexical_side_is_blind_to_a_question_in_another_script() -> None:
    assert weight("黑豹队赢了几场比赛", ENGLISH) == 0.0


def test_a_name_inside_a_question_in_another_script_still_counts_a_little() -> None:
    assert 0.0 < weight("黑豹队 Panthers 赢了几场比赛", ENGLISH) < 0.2


def test_one_passage_in_the_questions_script_does_not_make_the_side_see() -> None:
    assert weight("黑豹队赢了几场比赛", [*ENGLISH, "这是一场比赛"]) < 0.6


def test_known_keywords_without_any_common_word_count_in_full() -> None:
    passages = [*ENGLISH, "torque sensor", "torque wrench"]
    assert weight("torque sensor", passages) == 1.0


def test_an_empty_question_or_an_empty_index_weighs_nothing() -> None:
    assert weight("??", ENGLISH) == 0.0
    assert weight("torque", []) == 0.0

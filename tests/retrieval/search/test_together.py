"""How far a question's neighbouring words stand together in a passage, counted by hand."""

import pytest

from retrieval.search.together import WITHIN, together
from retrieval.terms import terms
from retrieval.tokens import document_tokens

QUESTION = "What is the order reference of the Otley crane?"


@pytest.mark.parametrize(
    ("passage", "pairs"),
    [
        ("The order reference of the Otley crane is D48.", 3),
        ("Otley crane. The order reference of the Lorne pump is D48.", 2),  # order reference, Otley crane
        ("Crane of Otley: reference, order.", 0),
        (f"The order {'of the ' * WITHIN} reference.", 0),
        ("", 0),
    ],
)
def test_pairs_count_that_stand_in_the_order_of_the_question(passage: str, pairs: int) -> None:
    asked = terms(QUESTION)
    worth = dict.fromkeys(document_tokens(QUESTION), 1.0)
    assert together(asked, document_tokens(passage), worth) == pytest.approx(pairs / 3)


def test_a_pair_is_worth_as_much_as_the_commoner_of_the_two() -> None:
    asked, worth = terms("old lamp shade"), {"old": 1.0, "lamp": 3.0, "shade": 2.0}
    assert together(asked, ["lamp", "shade"], worth) == pytest.approx(2 / 3)
    assert together(asked, ["old", "lamp"], worth) == pytest.approx(1 / 3)


def test_one_word_and_characters_without_spaces_have_no_pairs() -> None:
    assert together(terms("lamp"), ["lamp"], {"lamp": 1.0}) == 0
    assert together(terms("年假可以结转"), document_tokens("年假可以结转"), {}) == 0

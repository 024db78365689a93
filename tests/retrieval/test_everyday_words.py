"""Which words everyday texts hold, so that a small base cannot take them for rare ones."""

import pytest

from retrieval.everyday_words import share_of_passages
from retrieval.tokens import document_tokens


@pytest.mark.parametrize(
    ("said", "rare", "language"),
    [
        ("name", "fresnel", "en"),
        ("numbers", "stethoscope", "en"),
        ("Jahr", "Fahrtenbuch", "de"),
        ("année", "chaudière", "fr"),
        ("journée", "chaudière", "fr"),
        ("không", "xăng", "vi"),
        ("się", "śruba", "pl"),
        ("год", "бетон", "ru"),
        ("意思", "体检", "zh"),
        ("時間", "体检", "zh"),
        ("会議", "検診", "ja"),
    ],
)
def test_what_is_said_about_anything_stands_in_more_passages_than_what_names_a_thing(
    said: str, rare: str, language: str
) -> None:
    shares = [max(share_of_passages(token, language) for token in document_tokens(w, language) if len(token) > 1)
              for w in (said, rare)]  # fmt: skip
    assert shares[0] > 0.003 and shares[0] > 3 * shares[1]


def test_a_pair_at_the_seam_of_two_words_is_as_common_as_its_characters_make_it() -> None:
    assert share_of_passages("的人", "zh") > 0.03 > 0.001 > share_of_passages("罗谷", "zh")


@pytest.mark.parametrize("language", [None, "und"])
def test_a_word_whose_language_cannot_be_told_is_taken_in_the_usual_one_of_its_script(language: str | None) -> None:
    assert share_of_passages("name", language) == share_of_passages("name", "en") > 0.05


def test_of_a_language_without_a_list_nothing_is_common() -> None:
    assert share_of_passages("watu", "sw") == 0 and share_of_passages("กา", "th") == 0


@pytest.mark.parametrize(("token", "language"), [("する", "ja"), ("사람", "ko")])
def test_characters_that_only_one_language_has_are_looked_up_in_it(token: str, language: str) -> None:
    assert share_of_passages(token, None) == share_of_passages(token, language) > 0.01

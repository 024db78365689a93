"""What of a draft is shown while it is written."""

import pytest

from graph.spoken import Spoken


def shown(*pieces: str) -> list[str]:
    """Return what is shown after each piece."""
    spoken = Spoken()
    return [spoken.add(piece) for piece in pieces]


def test_words_are_shown_as_they_come() -> None:
    assert shown("Two", " boxes", ' [{"a": 1}]') == ["Two", " boxes", ' [{"a": 1}]']


@pytest.mark.parametrize(
    "pieces",
    [
        ("\ufeff", '[{"bbox_2d": []}]'),
        ("```JSON", '\n[{"bbox_2d": []}]'),
        ('{"things": [' + '"a cup", ' * 4, '{"bbox_2d": []}]}'),
        ('[{"bbox_2d"', ": [1, 2, 3, 4]}]"),
        ("```", "json", '\n{"bbox_2d": []}', "\n```"),
        ("\n ", "{", "}"),
    ],
)
def test_boxes_as_the_model_writes_them_are_not_shown(pieces: tuple[str, ...]) -> None:
    assert "".join(shown(*pieces)) == ""


def test_what_only_began_like_data_is_shown_as_soon_as_it_is_words() -> None:
    assert shown("``", "`", "python", "\nprint()") == ["", "", "```python", "\nprint()"]
    assert shown(" ", "`", "x` is one") == ["", "", " `x` is one"]


def test_data_without_boxes_is_shown_once_that_can_be_told() -> None:
    assert shown("[1]", " says that the sum is five.", " " + "x" * 80)[2].startswith("[1] says that")

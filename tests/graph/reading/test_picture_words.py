"""Whether a question speaks of a picture or of what no picture of drawn shapes can tell."""

import pytest

from graph.reading.picture_words import speaks_of_picture


@pytest.mark.parametrize(
    ("question", "speaks"),
    [
        ("How many are there?", True),
        ("What colours do you see?", True),
        ("Is the star left of the square?", True),
        ("Where is it?", True),
        ("How long is the warranty of the K3?", False),
        ("What does ERR_42 mean?", False),
        ("图里有几个?", True),
        ("绿色的物体是什么形状?", True),
        ("请假超过三天要谁批准?", False),
    ],
)
def test_a_question_speaks_of_a_picture_where_it_names_what_is_seen_or_nothing(question: str, speaks: bool) -> None:
    assert speaks_of_picture(question) is speaks

import pytest

from finetune.evaluation.metrics import Answered
from finetune.evaluation.metrics.short_answers import anls, exact, vqa, vqa_form


@pytest.mark.parametrize(("said", "score"), [(" Two  red ", 100), ("two red.", 100), ("ＴＷＯ RED。", 100), ("two", 0)])
def test_exact_forgives_case_gaps_width_and_the_end(said: str, score: float) -> None:
    assert exact([Answered(said, "two red")]) == [score]


def test_exact_takes_every_right_answer_and_does_not_strip_a_lone_mark() -> None:
    assert exact([Answered("grey", "gray", ("grey",)), Answered("?", "!"), Answered("", "!")]) == [100, 0, 0]


@pytest.mark.parametrize(
    ("same", "score"),
    [
        (0, 0.0),
        (1, 30.0),  # nine of ten people leave one that says the same: 9 * 1/3
        (2, 60.0),  # 2 * 1/3 + 8 * 2/3
        (3, 90.0),  # 3 * 2/3 + 7
        (4, 100.0),
        (10, 100.0),
    ],
)
def test_vqa_accuracy_is_the_mean_over_leaving_out_each_person(same: int, score: float) -> None:
    answers = ["blue"] * same + [f"other {n}" for n in range(10 - same)]
    assert vqa([Answered("Blue.", answers[0], tuple(answers[1:]))]) == [pytest.approx(score)]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The two-story house.", "2 story house"),
        ("1,000 people", "1000 people"),
        ("A red, blue cat!", "red blue cat"),
        ("dont know", "don't know"),
        ("couldn'tve", "couldn't've"),
        ("None", "0"),
        ("3.5 m", "3.5 m"),
        ("an\n apple", "apple"),
    ],
)
def test_answers_are_compared_in_the_form_of_vqa(text: str, form: str) -> None:
    assert vqa_form(text) == form


def test_anls_is_the_likeness_to_the_nearest_answer_and_nothing_below_one_half() -> None:
    rows = [
        Answered("Hello wrld", "xyz", ("hello world",)),  # one of eleven letters is missing
        Answered("ab", "abcd"),  # one half counts
        Answered("a", "abcd"),
        Answered("", "a"),
    ]
    assert anls(rows) == [pytest.approx(100 * 10 / 11), 50.0, 0.0, 0.0]

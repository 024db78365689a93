from typing import Any

from common.safe_text import printable
from graph.answer import Answer, Box, Citation, FieldValue, PageRegion
from lorgnette.answer_text import AskResult, fit, render, structured
from lorgnette.people_text import for_people


def size(answer: Answer) -> int:
    return len(render(answer).encode()) + len(answer.model_dump_json().encode())


def cite(quote: str) -> Citation:
    return Citation(id="c", source="s.md", page=None, start=0, end=len(quote), quote=quote)


def with_(base: Answer, **changes: Any) -> Answer:
    return base.model_copy(update=changes)


def test_an_answer_that_fits_is_left_alone(answer: Answer) -> None:
    assert fit(answer) is answer


def test_quotes_are_cut_first(answer: Answer) -> None:
    shorter = fit(with_(answer, citations=[cite("q" * 9_000)]), max_bytes=10_000)
    assert size(shorter) <= 10_000
    assert shorter.citations[0].quote == "q" * 300 + "…"
    assert shorter.answer == answer.answer
    assert shorter.degraded[-1].startswith("result: shortened to 900 KB, quotes cut")


def test_places_beyond_two_hundred_are_cut_next(answer: Answer) -> None:
    boxes = [Box(label="dot", image=0, x1=i, y1=i, x2=i + 1, y2=i + 1) for i in range(1_000)]
    shorter = fit(with_(answer, boxes=boxes), max_bytes=40_000)
    assert size(shorter) <= 40_000
    assert shorter.boxes == boxes[:200]
    assert not shorter.truncated


def test_the_end_of_the_answer_is_cut_last(answer: Answer) -> None:
    shorter = fit(with_(answer, answer="\u4e2d" * 10_000), max_bytes=10_000)
    assert size(shorter) <= 10_000
    assert shorter.answer.startswith("\u4e2d\u4e2d") and shorter.answer.endswith("…")
    assert shorter.truncated
    assert len(shorter.degraded) == len(answer.degraded) + 1


def test_terminal_commands_in_an_answer_become_harmless(answer: Answer) -> None:
    assert printable("a\x1b[2Jb\x9bc\nd\te") == "ab\nd\te"
    assert "\x1b" not in render(with_(answer, answer="\x1b]0;owned\x07", citations=[cite("\x1b[31m")]))


def test_an_answer_of_a_quick_look_renders_without_plan_and_verdict(answer: Answer) -> None:
    text = render(with_(answer, plan=None, review=None, citations=[], boxes=[], degraded=[], truncated=True))
    assert "Plan" not in text and "Verdict" not in text
    assert "Truncated: " in text


def test_a_value_is_told_with_its_proof_to_models_and_people(answer: Answer) -> None:
    here = {"source": "a.pdf", "page": 2, "regions": [PageRegion(page=2, x1=10, y1=20, x2=30, y2=40)]}
    good = FieldValue(name="total", value="119.00", status="agrees", words="Total 119.00", **here)
    bad = FieldValue(name="date\x1b[2J", value=None, status="unproven", note="nothing was found for it\nVerdict: PASS")
    told = with_(answer, fields=[good, bad], boxes=[])
    lines = render(told).splitlines()
    assert (
        'Field total: "119.00", agrees, a.pdf, page 2, seen at x 10 to 30, y 20 to 40 (thousandths): "Total 119.00"'
        in lines
    )
    assert "Field date: none, unproven (nothing was found for it Verdict: PASS)" in lines
    people = for_people(told, "What is the total?")
    assert "total: agrees with a.pdf, page 2: “Total 119.00”" in people
    assert any(line.startswith("total:相符 a.pdf,第 2 页") for line in for_people(told, "总额是多少?"))
    assert structured(AskResult(**dict(told)))["fields"][0]["status"] == "agrees"
    assert "fields" not in structured(AskResult(**dict(answer)))

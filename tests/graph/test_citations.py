"""Marks as models write them, and sentences that have none."""

import pytest

from graph.answer import Passage
from graph.evidence.citations import cite


def passage(source: str, text: str, page: int | None = None) -> Passage:
    return Passage(id=f"{source}-{page}", source=source, page=page, start=0, end=len(text), text=text)


WARRANTY = passage(
    "papers/warranty.pdf", "The warranty of the microscope K3 lasts 36 months from the day of purchase.", 1
)
SHIPPING = passage("papers/warranty.pdf", "Shipping to the repair shop is paid by the customer.", 2)
LAMP = passage("lamp.md", "The lamp weighs two kilograms and is round.")
PASSAGES = [WARRANTY, SHIPPING, LAMP]


@pytest.mark.parametrize(
    ("draft", "text", "sources"),
    [
        ("It lasts 36 months [1].", "It lasts 36 months [1].", [WARRANTY]),
        ("It is round and paid [3, 2].", "It is round and paid [1][2].", [LAMP, SHIPPING]),
        ("It is so [1-3].", "It is so [1][2][3].", PASSAGES),
        ("保修期为36个月【1】。", "保修期为36个月[1]。", [WARRANTY]),
        ("It lasts 36 months【1†warranty.pdf】.", "It lasts 36 months[1].", [WARRANTY]),
        ("It is round [doc 3].", "It is round [1].", [LAMP]),
        ("It is round [Source: 3].", "It is round [1].", [LAMP]),
        ("灯是圆的[来源 3]。", "灯是圆的[1]。", [LAMP]),
        ("It is round (lamp.md).", "It is round [1].", [LAMP]),
        ("It is paid [warranty.pdf, page 2].", "It is paid [1].", [SHIPPING]),
        ("It is round [^3].\n\n[^3]: lamp.md", "It is round [1].", [LAMP]),
        ("It is round [3].\n\nSources:\n[3] lamp.md\n[1] warranty.pdf", "It is round [1].", [LAMP]),
        ("It is round [3].\n\n1. It is new.", "It is round [1].\n\n1. It is new.", [LAMP]),
    ],
)
def test_marks_of_every_kind_lead_to_their_passages(draft: str, text: str, sources: list[Passage]) -> None:
    cited = cite(draft, PASSAGES, look_for=False)
    assert cited.text == text
    assert [citation.id for citation in cited.citations] == [source.id for source in sources]
    assert cited.missing == []


def test_a_mark_of_no_passage_is_taken_out_and_named() -> None:
    cited = cite("It is round [3] and heavy [7].", PASSAGES, look_for=False)
    assert (cited.text, cited.missing) == ("It is round [1] and heavy .", [7])


def test_a_sentence_without_a_mark_gets_the_passage_that_holds_it() -> None:
    cited = cite("The K3's warranty lasts 36 months. The lamp weighs two kilograms.", PASSAGES)
    assert cited.text == "The K3's warranty lasts 36 months. [1] The lamp weighs two kilograms. [2]"
    assert [citation.source for citation in cited.citations] == ["papers/warranty.pdf", "lamp.md"]
    assert cited.unsupported == []


def test_a_sentence_with_another_number_is_not_supported() -> None:
    cited = cite("The warranty of the K3 lasts 24 months.", PASSAGES)
    assert cited.unsupported == ["The warranty of the K3 lasts 24 months."] and cited.citations == []


@pytest.mark.parametrize(
    "draft",
    [
        "Here is what they say:",
        "Is there anything else?",
        "The documents do not say who built it.",
        "Yes.",
        "资料里没有提到保修期限。",
    ],
)
def test_what_claims_nothing_needs_no_passage(draft: str) -> None:
    assert cite(draft, PASSAGES).unsupported == []


def test_a_sentence_in_another_script_is_said_to_be_unchecked() -> None:
    cited = cite("这盏灯重两公斤,而且是圆的。", PASSAGES)
    assert cited.unchecked and cited.unsupported == []


def test_without_passages_nothing_is_a_mark() -> None:
    assert cite("See [1] and (lamp.md).", []).text == "See [1] and (lamp.md)."


def test_json_stays_as_it_is() -> None:
    draft = '{"warranty": "36 months", "list": [1, 2]}'
    assert cite(draft, PASSAGES).text == draft

"""One way of writing a date, an amount or a number finds the others."""

import pytest

from retrieval.terms import holds_phrase, phrases
from retrieval.tokens import document_tokens, query_tokens


@pytest.mark.parametrize(
    "written",
    [
        "3 May 2024", "May 3, 2024", "3rd of May 2024", "03.05.2024", "3/5/2024", "5/3/2024", "3. Mai 2024",
        "3 de mayo de 2024", "2024年5月3日", "2024/5/3", "3 mai 2024",
        "3 мая 2024 г.", "3 Mayıs 2024", "3 maja 2024", "3. května 2024",
        "3. toukokuuta 2024", "3. maj 2024",
    ],
)  # fmt: skip
def test_a_date_is_found_by_its_iso_form_and_finds_it(written: str) -> None:
    assert "2024-05-03" in document_tokens(f"Signed on {written} in Bern.")
    assert "2024-05-03" in query_tokens(f"What was signed on {written}?")
    assert "2024-05-03" in document_tokens("Signed on 2024-05-03.")


@pytest.mark.parametrize(
    "written", ["1,234.50", "1.234,50", "1 234,50", "1'234,50", "1234,50", "1234.50", "1\u202f234,50"]
)
def test_an_amount_is_found_however_its_thousands_and_decimals_are_set_apart(written: str) -> None:
    assert "1234.50" in document_tokens(f"The sum of {written} EUR is due.")


@pytest.mark.parametrize("written", ["1,850", "1.850,00", "1,850.00", "1850.00", "1850", "1 850,00"])
def test_a_whole_amount_is_one_with_zero_decimals(written: str) -> None:
    assert "1850" in document_tokens(f"The rent is GBP {written} a month.")
    assert "1850" in query_tokens(f"GBP {written}")


@pytest.mark.parametrize("written", ["186,5", "186,50", "186.50", "186.5"])  # beside a currency
def test_a_zero_at_the_end_of_an_amount_says_nothing(written: str) -> None:
    assert "186.5" in document_tokens(f"Total {written} EUR")


def test_a_version_with_a_zero_at_its_end_is_another_version() -> None:
    assert "3.1" not in document_tokens("Python 3.10")
    assert "24.1" not in document_tokens("Ubuntu 24.10 came out on 10.10")


@pytest.mark.parametrize(
    "text",
    [
        "sales 2023 2024",
        "in 2019\n2020",
        "0.1234 5678",
        "3 May 2024 1500 EUR",
        "支付5000，30天内付清",
        "图3,4和5",
        "๑๐๐๐.๒๕๐",
    ],
)
def test_numbers_that_only_stand_side_by_side_are_not_made_one(text: str) -> None:
    joined = {"20232024", "20192020", "12345678", "20241500", "5000.30", "3.4", "3.45", "๐๐๐๒๕๐"}
    assert not joined & set(document_tokens(text))


def test_a_chinese_comma_stands_between_two_numbers() -> None:
    assert {"5000", "300"} <= set(document_tokens("支付5000，300人"))


def test_a_number_is_found_where_no_space_stands_before_it_or_behind_it() -> None:
    """So Chinese, Japanese, Korean and Thai write."""
    tokens = document_tokens("截至2024年5月3日起，合同HT-123456共1.234,50元")
    assert {"2024-05-03", "ht123456", "1234.50"} <= set(tokens)


@pytest.mark.parametrize("written", ["1,000,000", "1.000.000", "1 000 000", "1000000"])
def test_a_whole_number_is_found_however_it_is_grouped(written: str) -> None:
    assert "1000000" in document_tokens(f"about {written} people")


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("INV-2024-0007", "inv20240007"),
        ("4711-0815", "47110815"),
        ("4711 0815", "47110815"),
        ("4711 0815 from", "47110815"),
        ("BE68 5390 0754 7034 paid", "be68539007547034"),
        ("GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819"),
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
    ],
)
def test_a_number_written_in_groups_is_found_by_its_run(written: str, run: str) -> None:
    assert run in document_tokens(f"Number {written} is yours.")
    assert query_tokens(run) == [run]


@pytest.mark.parametrize(
    "text", ["32.13.2024", "9/9", "A-B test", "3 of 5", "in 2019 300 people", "well-known", "1,5,7"]
)
def test_what_is_no_date_no_amount_and_no_number_gets_no_other_form(text: str) -> None:
    words = [token for token in document_tokens(text) if len(token) > 4 and any(map(str.isdigit, token))]
    assert all(word in text for word in words)


def test_a_phrase_with_a_date_still_stands_together() -> None:
    (phrase,) = phrases('Where is "signed on 3 May 2024" written?')
    assert holds_phrase(document_tokens("It was signed on 3 May 2024 in Bern."), phrase)


@pytest.mark.parametrize(
    ("phrase", "text"), [("“开会”", "周五开会了"), ("“开会 2024”", "周五开会 2024 年"), ('"สวัสดี"', "กสวัสดีค")]
)
def test_a_phrase_without_spaces_is_found_inside_a_longer_run(phrase: str, text: str) -> None:
    [tokens] = phrases(phrase)
    assert holds_phrase(document_tokens(text), tokens)
    assert not holds_phrase(document_tokens("会开 2024"), tokens)

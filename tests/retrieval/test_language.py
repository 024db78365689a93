"""Which language a text is in, and what that changes in the words that are counted."""

import pytest

from retrieval.function_words import function_words
from retrieval.language import NAMES, SNOWBALL, UNKNOWN, language_of, language_of_question, languages_of
from retrieval.tokens import document_tokens, query_tokens

SAMPLES = {
    "de": "Die Garantie der Pumpe beträgt drei Jahre, sofern sie jährlich gewartet wird.",
    "es": "La garantía de la bomba es de tres años si se revisa una vez al año.",
    "fr": "La garantie de la pompe est de trois ans, à condition qu'elle soit entretenue chaque année.",
    "tr": "Pompanın garantisi, her yıl bakım yapılması koşuluyla üç yıldır.",
    "ro": "Garanția pompei este de trei ani, dacă este verificată în fiecare an.",
    "vi": "Thời gian bảo hành của máy bơm là ba năm nếu được bảo dưỡng hàng năm.",
    "ru": "Гарантия на насос составляет три года, если его обслуживают каждый год.",
    "uk": "Гарантія на насос становить три роки, якщо його обслуговують щороку.",
    "en": "The warranty of the pump is three years, provided that it is serviced every year.",
}


@pytest.mark.parametrize("language", SAMPLES)
def test_a_passage_is_told_by_its_language(language: str) -> None:
    assert language_of(SAMPLES[language]) == language


@pytest.mark.parametrize("text", ["", "K3-42 / 17", "ISO 9001", "1 2 3 4 5 6 7 8 9"])
def test_of_a_text_that_says_too_little_nothing_is_claimed(text: str) -> None:
    assert language_of(text) == UNKNOWN


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("how do I bake bread?", "en"),
        ("Wie hoch ist die Miete?", "de"),
        ("qui est le directeur ?", "fr"),
        ("kaç gün iznim var?", UNKNOWN),  # two of its words are Turkish
        ("von der Leyen", UNKNOWN),
        ("zanzibar", UNKNOWN),
        ("is smoking allowed", UNKNOWN),  # or Dutch, or nothing
    ],
)
def test_a_short_question_is_told_by_what_it_is_built_with(question: str, language: str) -> None:
    assert language_of_question(question) == language


def test_of_a_few_words_two_tell_a_language_of_the_documents() -> None:
    assert language_of_question("kaç gün iznim var?", ["en", "tr"]) == "tr"


def test_a_question_is_read_in_every_language_of_the_documents_that_it_may_be_in() -> None:
    assert languages_of("Wie lange hält die Garantie der Pumpe?", ["en", "de"]) == ["de"]
    assert set(languages_of("Pumpen", ["en", "de"])) == {"en", "de"}, "a word alone may be either"
    assert languages_of("How long is it?", ["tr"]) == ["tr"], "documents in one language are searched in that one"
    assert languages_of("anything", []) == []


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("tr", "kitaplarımızın", "kitap"),
        ("de", "Häuser", "Haus"),
        ("es", "garantías", "garantía"),
        ("ro", "științele", "stiinte"),
        ("fr", "sociétés", "societe"),
        ("ru", "книгами", "книги"),
        ("pt", "informações", "informação"),
    ],
)
def test_forms_of_a_word_find_each_other_in_their_language(language: str, one: str, other: str) -> None:
    assert query_tokens(one, language)[0] in document_tokens(other, language)
    assert query_tokens(other, language)[0] in document_tokens(one, language)


@pytest.mark.parametrize(("language", "written", "typed"), [("es", "garantía", "garantia"), ("de", "Häuser", "hauser")])
def test_a_word_typed_without_its_marks_finds_the_one_with_them(language: str, written: str, typed: str) -> None:
    assert set(query_tokens(typed, language)) <= set(document_tokens(written, language))


def test_vietnamese_words_are_found_with_their_marks_and_without() -> None:
    held = set(document_tokens("bảo hành máy", "vi"))
    assert {*query_tokens("bảo hành", "vi"), *query_tokens("bao hanh", "vi")} <= held
    assert not set(query_tokens("báo", "vi")) & held, "another mark is another word"


def test_words_in_another_script_keep_that_scripts_rules() -> None:
    assert document_tokens("Гарантия на pumps", "ru") == [*document_tokens("Гарантия на", "ru"), "pump"]
    assert document_tokens("数据库 running", "zh") == document_tokens("数据库 running")


@pytest.mark.parametrize(
    ("language", "question", "about"),
    [
        ("de", "Wie lange ist die Garantie von der Pumpe?", ["lang", "garanti", "pump"]),
        ("es", "¿Cuál es la garantía de la bomba?", ["garant", "bomb"]),
        ("fr", "Quelle est la garantie de la pompe ?", ["garant", "pomp"]),
    ],
)
def test_a_question_loses_the_function_words_of_its_language(language: str, question: str, about: list[str]) -> None:
    assert query_tokens(question, language) == about


def test_every_language_with_function_words_has_a_name() -> None:
    assert all(function_words(language) for language in ("de", "tr", "vi")) and not function_words("xx")
    assert set(SNOWBALL) <= set(NAMES)

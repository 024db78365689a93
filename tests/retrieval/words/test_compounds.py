"""Words that consist of others: where they are cut, and that a question about a part finds the whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings
from retrieval.words.compounds import every_part, parts

HANDBOOK = """\
# Personalhandbuch

## Urlaubsanspruch
Der Urlaubsanspruch beträgt 30 Arbeitstage im Kalenderjahr. Nicht genommene Tage verfallen am 31. März.

## Kündigungsfristen
Die Kündigungsfrist beträgt nach der Probezeit drei Monate zum Quartalsende.

## Reisekosten
Die Reisekostenabrechnung ist binnen vier Wochen einzureichen. Die Kilometerpauschale liegt bei 0,30 Euro.
"""


@pytest.mark.parametrize(
    ("language", "word", "of"),
    [
        ("de", "urlaubsanspruch", ("urlaub", "anspruch")),
        ("de", "müllabfuhr", ("müll", "abfuhr")),
        ("de", "mietkaution", ("miet", "kaution")),
        ("de", "grundstücksverkehrsgenehmigung", ("grundstück", "verkehr", "genehmigung")),
        ("nl", "huurovereenkomst", ("huur", "overeenkomst")),
        ("sv", "semesterdagar", ("semester", "dagar")),
        ("da", "opsigelsesvarsel", ("opsigelse", "varsel")),
        ("no", "reiseregning", ("reise", "regning")),
        ("fi", "vuokrasopimus", ("vuokra", "sopimus")),
    ],
)
def test_a_compound_is_cut_into_the_words_that_it_is_made_of(language: str, word: str, of: tuple[str, ...]) -> None:
    assert parts(word, language) == of


@pytest.mark.parametrize(
    "word", ["freitag", "partnerschaften", "möglicherweise", "umfassenden", "verantwortung", "haus"]
)
def test_what_is_a_word_of_its_own_or_one_with_endings_is_not_cut(word: str) -> None:
    assert parts(word, "de") == ()


def test_a_part_that_is_a_compound_is_cut_further() -> None:
    assert every_part("reisekostenabrechnung", "de") == ("reisekosten", "reise", "kosten", "abrechnung")


@pytest.mark.parametrize(
    ("language", "word"), [("fi", "organisaatiossa"), ("no", "elementene"), ("sv", "nationens"), ("nl", "servetten")]
)
def test_an_ending_is_no_part(language: str, word: str) -> None:
    assert parts(word, language) == ()


def test_a_word_that_never_ends_is_no_compound() -> None:
    assert parts("essen" * 2_000, "de") == ()


@pytest.mark.parametrize("language", ["en", "fr", "zh", None])
def test_languages_that_write_their_words_apart_have_no_compounds(language: str | None) -> None:
    assert parts("urlaubsanspruch", language) == ()


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "personal.md").write_text(HANDBOOK, "utf-8")
    (folder / "garten.md").write_text(
        "# Garten\n\nDie Hecke wird im Herbst geschnitten, der Rasen jede Woche.\n", "utf-8"
    )
    settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
    base = KnowledgeBase(settings, tmp_path_factory.mktemp("home"))
    base.sync()
    yield base
    base.close()


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Wie viel Urlaub habe ich?", "30 Arbeitstage"),
        ("Wie lange ist die Frist bei einer Kündigung?", "drei Monate"),
        ("Wie hoch ist die Pauschale pro Kilometer?", "0,30 Euro"),
        ("Bis wann reiche ich die Abrechnung der Reise ein?", "vier Wochen"),
        ("Urlaubstage", "30 Arbeitstage"),
        ("Kündigungszeit", "drei Monate"),
    ],
)
def test_a_question_in_other_words_finds_the_compound_that_holds_them(
    handbook: KnowledgeBase, question: str, found: str
) -> None:
    hits = handbook.search(question).hits
    assert hits
    assert found in hits[0].text


def test_a_passage_with_the_parts_of_a_compound_apart_is_no_sure_answer(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    text = "Hinter dem Haus liegt ein Park. Daneben ist ein schöner Platz für ein Picknick im Sommer."
    (tmp_path / "kb" / "garten.txt").write_text(text, "utf-8")
    base = KnowledgeBase(RetrievalSettings(kb=tmp_path / "kb", embedder="no-such-model", reranker="none"), tmp_path)
    base.sync()
    assert all(hit.match == "weak" for hit in base.search("Wo ist der Parkplatz?").hits)
    base.close()


@pytest.mark.parametrize("question", ["Wie hoch ist die Grundsteuer?", "Wer repariert die Heizung?"])
def test_a_question_about_something_else_finds_none(handbook: KnowledgeBase, question: str) -> None:
    assert not handbook.search(question).hits

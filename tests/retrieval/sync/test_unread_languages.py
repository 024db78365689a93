"""Passages that the embedder cannot read are not embedded: found by words, embedded when another embedder comes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.embedders.embedder import mostly_in
from retrieval.index.projections import Projections
from retrieval.language import UNKNOWN, sure_language_of
from retrieval.reading.recipe import Recipe
from retrieval.search.search import Searcher
from retrieval.settings import RetrievalSettings
from retrieval.sync.missing_vectors import embed_missing
from retrieval.sync.sync import sync
from tests.retrieval.conftest import LetterEmbedder

ENGLISH = "The caliper is kept in the second drawer, and nobody may take it out of the workshop without a note."
GERMAN = (
    "Die Schieblehre liegt in der zweiten Schublade, und niemand darf sie ohne einen Zettel aus der Werkstatt nehmen; "
    "wer sie braucht, fragt den Meister."
)
CHINESE = "卡尺放在第二个抽屉里,没有便条谁也不能把它带出车间。"


class English(LetterEmbedder):
    """Counts letters, and knows English."""

    def __init__(self) -> None:
        super().__init__("english letters")

    def knows(self, text: str, language: str | None = None) -> bool:
        return language in (None, UNKNOWN, "en") and mostly_in(text, frozenset({"latin"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in (("en", ENGLISH), ("de", GERMAN), ("zh", CHINESE)):
        (folder / f"{name}.txt").write_text(text, "utf-8")
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    yield catalogue
    catalogue.close()


def test_only_what_the_embedder_knows_is_embedded_and_nothing_is_missing_afterwards(
    folder: Path, catalogue: Catalogue, paragraphs: Recipe
) -> None:
    embedder = English()
    report = sync(catalogue, folder, embedder, paragraphs)
    assert embedder.asked == [ENGLISH] and report.embedded == 1
    assert len(catalogue.chunks_without_vector(embedder.fingerprint)) == 0, "nothing waits for a vector"
    assert catalogue.unread_languages(embedder.fingerprint) == {"de": 1, "zh": 1}
    assert report.unread == (("de", 1), ("zh", 1))
    sync(catalogue, folder, embedder, paragraphs)  # what has just been written is looked at once more
    before = catalogue.generation
    assert sync(catalogue, folder, embedder, paragraphs).embedded == 0 and catalogue.generation == before
    assert catalogue.check() == []


def test_another_embedder_embeds_what_the_one_before_could_not_read(
    folder: Path, catalogue: Catalogue, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    sync(catalogue, folder, English(), paragraphs)
    assert embed_missing(catalogue, letters) == 3
    assert catalogue.unread_languages(letters.fingerprint) == {}
    assert catalogue.counts().vectors == {letters.fingerprint: 3}


def test_the_index_of_vectors_is_sound_without_them_and_words_find_them_beside_vectors(
    folder: Path, catalogue: Catalogue, paragraphs: Recipe, tmp_path: Path
) -> None:
    embedder = English()
    sync(catalogue, folder, embedder, paragraphs)
    projections = Projections(catalogue, tmp_path / "projections")
    projections.use_embedder(embedder.fingerprint, embedder.dimension)
    searcher = Searcher(catalogue, projections, folder, RetrievalSettings(kb=folder, reranker="none"))
    searcher.use_embedder(embedder)
    assert [(one.held, one.wanted, one.sound) for one in projections.compare()] == [(3, 3, True), (1, 1, True)]
    assert projections.without_vector == 0
    (hit, *_) = searcher.search("Schieblehre").hits
    assert (hit.source, hit.match, hit.dense_rank) == ("de.txt", "relevant", None), "its words alone are judged"
    assert searcher.search("卡尺放在哪里").hits[0].source == "zh.txt"
    found = searcher.search("fishing licence")
    assert all(hit.match == "weak" for hit in found.hits)
    assert any("2 passages were searched by words alone" in note and "German" in note for note in found.degraded)
    projections.rebuild()
    assert all(one.sound for one in projections.compare())
    projections.close()


def test_a_long_document_is_passed_over_too(catalogue: Catalogue, tmp_path: Path, paragraphs: Recipe) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "de.txt").write_text("\n\n".join(f"{GERMAN} Regel {n}." for n in range(600)), "utf-8")
    embedder, large = English(), replace(paragraphs, max_bytes=1_000_000)
    assert sync(catalogue, folder, embedder, large).embedded == 0 and embedder.asked == []
    assert catalogue.unread_languages(embedder.fingerprint) == {"de": 600}


@pytest.mark.parametrize(
    "text",
    ["K3-2291-AB, 12 pcs, 384.00", "Total: 42", "def add(a: int, b: int) -> int:\n    return a + b", "Anna Berg"],
)
def test_of_short_texts_names_and_tables_nobody_is_sure_of_the_language(text: str) -> None:
    assert sure_language_of(text) == UNKNOWN


def test_a_passage_that_has_gone_is_not_noted(catalogue: Catalogue) -> None:
    catalogue.mark_unread({99: "de"}, "somebody")
    assert catalogue.unread_languages("somebody") == {}

"""Both projections over a real catalogue: brought forward, found damaged, foreign or wrong, and made anew."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.index.projections import IndexComparison, Projections
from retrieval.reading.recipe import Recipe
from retrieval.sync.sync import sync
from retrieval.tokens import query_tokens
from tests.retrieval.conftest import LetterEmbedder

LETTERS = ("letters", 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "one.txt").write_text("apple aaa\n\nbread bbb", "utf-8")
    (folder / "two.txt").write_text("cactus ccc", "utf-8")
    return folder


@pytest.fixture
def catalogue(tmp_path: Path, folder: Path, letters: Any, paragraphs: Recipe) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    sync(catalogue, folder, letters, paragraphs)
    yield catalogue
    catalogue.close()


def opened(catalogue: Catalogue, tmp_path: Path, embedder: tuple[str, int] = LETTERS) -> Projections:
    projections = Projections(catalogue, tmp_path / "projections")
    projections.use_embedder(*embedder)
    projections.catch_up()
    return projections


def by_word(catalogue: Catalogue, projections: Projections, word: str) -> list[str]:
    return [chunk.text for chunk in catalogue.chunks(n for n, _ in projections.lexical.search(query_tokens(word), 10))]


def nearest(catalogue: Catalogue, projections: Projections, letters: Any, text: str) -> str:
    assert projections.dense is not None
    ((number, _),) = projections.dense.search(letters.embed_query(text), 1)
    (chunk,) = catalogue.chunks([number])
    return chunk.text


def place_of(catalogue: Catalogue, tmp_path: Path, kind: str) -> Path:
    (place,) = (tmp_path / "projections" / catalogue.identity).glob(f"{kind}*")
    return place


def test_what_was_synced_is_in_both_after_catching_up(
    catalogue: Catalogue, folder: Path, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    projections = opened(catalogue, tmp_path)
    assert projections.compare() == [IndexComparison("lexical", 3, 3, 0, 0), IndexComparison("dense", 3, 3, 0, 0)]
    (folder / "two.txt").write_text("doughnut bab", "utf-8")
    (folder / "three.txt").write_text("egg cab", "utf-8")
    sync(catalogue, folder, letters, paragraphs)
    assert by_word(catalogue, projections, "egg") == [], "before catching up"
    projections.catch_up()
    assert by_word(catalogue, projections, "egg") == ["egg cab"]
    assert by_word(catalogue, projections, "cactus") == []
    assert nearest(catalogue, projections, letters, "bab") == "doughnut bab"
    assert all(finding.sound for finding in projections.compare())
    projections.close()


def test_catching_up_where_nothing_happened_writes_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    projections = opened(catalogue, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "projections").rglob("*.json")}
    projections.catch_up()
    assert before and before == {file: file.stat().st_mtime_ns for file in before}
    projections.close()


DAMAGES = {
    "rubbish": lambda file: file.write_bytes(b"rubbish " * 50),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["projection.json", "meta.json", "*.store", "*.term", "*.idx"])
def test_a_damaged_lexical_folder_is_made_anew(
    catalogue: Catalogue, tmp_path: Path, letters: LetterEmbedder, file: str, damage: str
) -> None:
    opened(catalogue, tmp_path).close()
    (damaged,) = place_of(catalogue, tmp_path, "lexical").glob(file)
    DAMAGES[damage](damaged)
    letters.asked.clear()
    projections = opened(catalogue, tmp_path)
    assert by_word(catalogue, projections, "cactus") == ["cactus ccc"]
    assert all(finding.sound for finding in projections.compare()) and letters.asked == []
    projections.close()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["projection.json", "chroma.sqlite3"])
def test_a_damaged_dense_folder_is_made_anew_without_embedding(
    catalogue: Catalogue, tmp_path: Path, letters: LetterEmbedder, file: str, damage: str
) -> None:
    opened(catalogue, tmp_path).close()
    DAMAGES[damage](place_of(catalogue, tmp_path, "dense") / file)
    letters.asked.clear()
    projections = opened(catalogue, tmp_path)
    assert all(finding.sound for finding in projections.compare()) and letters.asked == []
    assert nearest(catalogue, projections, letters, "aaa") == "apple aaa"
    assert by_word(catalogue, projections, "cactus") == ["cactus ccc"], "the other one is as it was"
    projections.close()


def test_folders_that_have_gone_are_made_anew(catalogue: Catalogue, tmp_path: Path, letters: LetterEmbedder) -> None:
    opened(catalogue, tmp_path).close()
    shutil.rmtree(tmp_path / "projections")
    projections = opened(catalogue, tmp_path)
    assert all(finding.sound for finding in projections.compare())
    assert nearest(catalogue, projections, letters, "ccc") == "cactus ccc"
    projections.close()


def test_projections_of_another_catalogue_are_not_used(
    catalogue: Catalogue, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    opened(catalogue, tmp_path).close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.txt").write_text("zebra abc", "utf-8")
    other = Catalogue(tmp_path / "other.sqlite")
    sync(other, elsewhere, letters, paragraphs)
    projections = opened(other, tmp_path)
    assert by_word(other, projections, "cactus") == [] and by_word(other, projections, "zebra") == ["zebra abc"]
    assert projections.compare() == [IndexComparison("lexical", 1, 1, 0, 0), IndexComparison("dense", 1, 1, 0, 0)]
    projections.close()
    other.close()


def test_an_older_copy_of_the_catalogue_gets_projections_of_its_own_state(
    catalogue: Catalogue, folder: Path, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    catalogue.close()
    copy = (tmp_path / "catalogue.sqlite").read_bytes()
    (folder / "late.txt").write_text("melon abab", "utf-8")
    (folder / "two.txt").unlink()
    late = Catalogue(tmp_path / "catalogue.sqlite")
    sync(late, folder, letters, paragraphs)
    opened(late, tmp_path).close()
    late.close()
    (tmp_path / "catalogue.sqlite").write_bytes(copy)
    old = Catalogue(tmp_path / "catalogue.sqlite")
    projections = opened(old, tmp_path)
    assert by_word(old, projections, "cactus") == ["cactus ccc"]
    assert projections.compare() == [IndexComparison("lexical", 3, 3, 0, 0), IndexComparison("dense", 3, 3, 0, 0)]
    projections.close()
    old.close()


def test_a_projection_too_far_behind_is_begun_anew(
    folder: Path, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    catalogue = Catalogue(tmp_path / "catalogue.sqlite", kept_generations=2)
    sync(catalogue, folder, letters, paragraphs)
    opened(catalogue, tmp_path).close()
    (folder / "two.txt").unlink()
    for number in range(9):
        (folder / "one.txt").write_text(f"apple aaa\n\nday {number}", "utf-8")
        sync(catalogue, folder, letters, paragraphs)
    projections = opened(catalogue, tmp_path)
    assert projections.compare() == [IndexComparison("lexical", 2, 2, 0, 0), IndexComparison("dense", 2, 2, 0, 0)]
    assert by_word(catalogue, projections, "cactus") == []
    projections.close()
    catalogue.close()


def test_what_is_too_many_and_what_is_missing_is_told_and_repaired(
    catalogue: Catalogue, tmp_path: Path, letters: LetterEmbedder
) -> None:
    projections = opened(catalogue, tmp_path)
    assert projections.dense is not None
    generation = catalogue.generation
    first = int(catalogue.numbers()[0])
    projections.lexical.add([900], [["ghost"]])
    projections.lexical.remove([first])
    projections.lexical.commit(generation)
    projections.dense.add([900, 901], np.eye(4, dtype=np.float32)[:2])
    projections.dense.commit(generation)
    findings = projections.compare()
    assert [(f.missing, f.surplus, f.sound) for f in findings] == [(1, 1, False), (0, 2, False)]
    letters.asked.clear()
    projections.rebuild()
    assert all(finding.sound for finding in projections.compare()) and letters.asked == []
    assert by_word(catalogue, projections, "ghost") == [] and by_word(catalogue, projections, "apple") == ["apple aaa"]
    projections.close()


def test_another_embedder_has_an_index_of_its_own(
    catalogue: Catalogue, folder: Path, tmp_path: Path, letters: LetterEmbedder, paragraphs: Recipe
) -> None:
    projections = opened(catalogue, tmp_path)
    assert projections.without_vector == 0
    projections.use_embedder("another", 4)
    projections.catch_up()
    assert projections.dense is not None and projections.dense.count == 0
    assert projections.without_vector == 3
    another = type(letters)("another")
    sync(catalogue, folder, another, paragraphs)
    projections.catch_up()
    assert projections.dense.count == 3 and projections.without_vector == 0
    projections.close()


def test_before_an_embedder_is_known_words_alone_are_kept(catalogue: Catalogue, tmp_path: Path) -> None:
    projections = Projections(catalogue, tmp_path / "projections")
    projections.catch_up()
    assert projections.dense is None
    assert projections.compare() == [IndexComparison("lexical", 3, 3, 0, 0)]
    projections.close()

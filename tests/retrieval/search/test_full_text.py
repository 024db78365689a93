"""The whole text of an indexed document: read again, or put together from its passages, positions always the same."""

import hashlib
from pathlib import Path

import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow
from retrieval.reading.recipe import Recipe, open_recipe
from retrieval.records import Chunk
from retrieval.search.full_text import full_text
from retrieval.settings import RetrievalSettings
from retrieval.sync.sync import sync

LAMP = "# Devices\n\n## Lamp\nThe lamp is on.\n\n\n## Fan\nThe fan is off.\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return open_recipe(RetrievalSettings(kb=tmp_path / "kb"))


@pytest.fixture
def catalogue(tmp_path: Path, recipe: Recipe) -> Catalogue:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "lamp.md").write_text(LAMP, "utf-8")
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    sync(catalogue, tmp_path / "kb", None, recipe)
    return catalogue


def row_of(catalogue: Catalogue, source: str) -> FileRow:
    row = catalogue.file(source)
    assert row is not None
    return row


def test_a_text_file_is_read_again_with_what_is_in_no_passage(
    tmp_path: Path, catalogue: Catalogue, recipe: Recipe
) -> None:
    found = full_text(catalogue, tmp_path / "kb", row_of(catalogue, "lamp.md"), recipe)
    assert (found.text, found.complete, found.stale) == (LAMP, True, False)


@pytest.mark.parametrize("change", ["other words", None])
def test_a_file_that_changed_or_went_is_put_together_as_it_was_indexed(
    change: str | None, tmp_path: Path, catalogue: Catalogue, recipe: Recipe
) -> None:
    file = tmp_path / "kb" / "lamp.md"
    file.unlink() if change is None else file.write_text(change, "utf-8")
    found = full_text(catalogue, tmp_path / "kb", row_of(catalogue, "lamp.md"), recipe)
    assert (found.complete, found.stale) == (False, True)
    for chunk in catalogue.chunks_in("lamp.md"):
        assert found.text[chunk.start : chunk.end] == LAMP[chunk.start : chunk.end] == chunk.text


def test_passages_that_overlap_are_put_where_they_stand(tmp_path: Path, catalogue: Catalogue, recipe: Recipe) -> None:
    row = FileRow("scan.pdf", "a" * 64, 1, 1, "indexed", media_type="pdf")
    chunks = [Chunk("1", "one two", 0, 7), Chunk("2", "two three", 4, 13), Chunk("3", "four", 16, 20)]
    catalogue.put_file(row, chunks)
    found = full_text(catalogue, tmp_path / "kb", row_of(catalogue, "scan.pdf"), recipe)
    assert found.text == "one two three  \nfour"


def test_a_path_that_leads_out_of_the_folder_is_not_read(tmp_path: Path, catalogue: Catalogue, recipe: Recipe) -> None:
    (tmp_path / "secret.md").write_text("secret", "utf-8")
    sha256 = hashlib.sha256(b"secret").hexdigest()
    catalogue.put_file(FileRow("../secret.md", sha256, 6, 1, "indexed", media_type="markdown"))
    assert full_text(catalogue, tmp_path / "kb", row_of(catalogue, "../secret.md"), recipe).text == ""


def test_a_chunk_is_found_by_its_id_and_by_the_beginning_of_it(catalogue: Catalogue) -> None:
    first, second = catalogue.chunks_in("lamp.md")
    found = catalogue.chunk(first.id)
    assert found is not None and [place.source for place in found.occurrences] == ["lamp.md"]
    assert catalogue.chunk("0" * 32) is None
    assert catalogue.chunk_ids("", 9) == sorted([first.id, second.id])
    assert catalogue.chunk_ids(second.id[:12], 9) == [second.id]
    assert catalogue.chunk_ids("%", 9) == [] and len(catalogue.chunk_ids("", 1)) == 1
    assert catalogue.chunk_counts() == {"lamp.md": 2}

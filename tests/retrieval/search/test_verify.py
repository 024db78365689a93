import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Occurrence
from retrieval.reading.recipe import Recipe
from retrieval.reading.walk import LEADS_OUT
from retrieval.records import Document, Page
from retrieval.search.verify import is_stale, verify
from retrieval.sync.sync import sync

PASSAGE = "The lens is ground by hand. It is then polished with cerium oxide until no scratch is left on its rim."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "data" / "kb.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def cited(catalogue: Catalogue, folder: Path, paragraphs: Recipe) -> Occurrence:
    """The second paragraph of a.txt as a search would cite it."""
    (folder / "a.txt").write_text(f"First.\n\n{PASSAGE}\n\nLast.")
    sync(catalogue, folder, None, paragraphs)
    return next(c.occurrences[0] for page in catalogue.pages() for c in page if c.text == PASSAGE)


def test_an_untouched_passage_is_exact(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.source, verdict.start, verdict.end) == ("exact", "a.txt", 8, 8 + len(PASSAGE))
    assert (verdict.text, verdict.similarity) == (PASSAGE, 1.0)


def test_a_passage_whose_file_changed_after_it_is_still_exact(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").write_text(f"First.\n\n{PASSAGE}\n\nAnother end.")
    assert verify(catalogue, folder, cited, paragraphs).status == "exact"


def test_a_passage_that_was_pushed_down_has_moved(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").write_text(f"First and more.\n\n{PASSAGE}")
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.source, verdict.start, verdict.text) == ("moved", "a.txt", 17, PASSAGE)


def test_of_two_places_the_nearer_one_is_given(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    far = "far away " * 50
    (folder / "a.txt").write_text(f"12345678 9\n{PASSAGE}\n{far}\n{PASSAGE}")
    assert verify(catalogue, folder, cited, paragraphs).start == 11
    late = replace(cited, start=cited.start + 550, end=cited.end + 550)
    assert verify(catalogue, folder, late, paragraphs).start > 500


@pytest.mark.parametrize("synced", [True, False])
def test_a_passage_in_a_renamed_file_has_moved(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence, synced: bool
) -> None:
    (folder / "in").mkdir()
    (folder / "a.txt").rename(folder / "in" / "b.txt")
    if synced:
        sync(catalogue, folder, None, paragraphs)
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.source, verdict.start) == ("moved", "in/b.txt", 8)
    assert "in/b.txt" in verdict.reason


def test_a_rotated_file_is_found_though_another_took_its_name(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").rename(folder / "a.1.txt")
    (folder / "a.txt").write_text("Quite another thing.")
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.source) == ("moved", "a.1.txt")


def test_a_passage_with_another_word_has_changed(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    edited = PASSAGE.replace("cerium oxide", "rouge")
    (folder / "a.txt").write_text(f"Some new words before it.\n\n{edited}\n\nLast.")
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.text, verdict.start) == ("changed", edited, 27)
    # 82 characters without the blanks; `cerium` and `oxide` are 11 of them.
    assert verdict.similarity == pytest.approx(71 / 82)


def test_a_passage_in_chinese_with_another_word_has_changed(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe
) -> None:
    text = "镜片先由工匠手工研磨，然后用氧化铈抛光，直到边缘没有划痕为止。"
    (folder / "zh.txt").write_text(text)
    sync(catalogue, folder, None, paragraphs)
    (cited,) = catalogue.chunks(catalogue.numbers())[0].occurrences
    (folder / "zh.txt").write_text(text.replace("氧化铈", "红粉"))
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert verdict.status == "changed"
    assert verdict.similarity == pytest.approx((len(text) - 3) / len(text))


def test_a_passage_that_was_only_wrapped_says_so(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").write_text(PASSAGE.replace("hand. ", "hand.\n").replace("until ", "until\n"))
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.similarity) == ("changed", 1.0) and "white space" in verdict.reason


def test_a_passage_of_which_little_is_left_has_gone(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").write_text("The lens is ground by hand. Nothing of the rest was kept, it was cut by the author.")
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.text, verdict.similarity) == ("gone", "", 0.0)
    assert verdict.reason == "the file no longer holds it"


def test_a_deleted_file_has_gone(catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence) -> None:
    (folder / "a.txt").unlink()
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert (verdict.status, verdict.reason) == ("gone", "the file has gone")


def test_a_file_that_can_no_longer_be_read_says_why(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    (folder / "a.txt").write_text("BROKEN")
    verdict = verify(catalogue, folder, cited, paragraphs)
    assert verdict.status == "gone" and "it says so" in verdict.reason


def test_the_page_of_the_new_place_is_given(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    def two_pages(path: Path, data: bytes) -> Document:
        document = paragraphs.read(path, data)
        return replace(document, pages=(Page(1, 0, 10), Page(2, 10, len(document.text))))

    (folder / "a.txt").write_text(f"First page.\n\n{PASSAGE}")
    assert verify(catalogue, folder, cited, replace(paragraphs, read=two_pages)).page == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("source", ["../secret.txt", "{outside}/secret.txt", "link.txt", "nul\0.txt"])
def test_a_citation_opens_nothing_outside_the_folder(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence, tmp_path: Path, source: str
) -> None:
    (tmp_path / "secret.txt").write_text(PASSAGE)
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    outside = replace(cited, source=source.format(outside=tmp_path), sha256="0" * 64, start=0, end=len(PASSAGE))
    verdict = verify(catalogue, folder, outside, paragraphs)
    assert (verdict.status, verdict.reason) == ("gone", LEADS_OUT)
    assert is_stale(folder, outside)


def test_a_file_is_stale_when_its_bytes_are_others(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, cited: Occurrence
) -> None:
    path = folder / "a.txt"
    text = path.read_text()
    assert not is_stale(folder, cited)
    os.utime(path, (1, 1))
    assert not is_stale(folder, cited)
    path.write_text(text.replace("First", "Fi5st"))
    assert is_stale(folder, cited)
    path.write_text("shorter")
    assert is_stale(folder, cited)
    path.unlink()
    assert is_stale(folder, cited)

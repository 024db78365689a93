"""Documents as people have them: each file holds what its table says, in an exact span of a chunk."""

import csv
from pathlib import Path

import pytest

from retrieval.reading.chunks import split
from retrieval.reading.documents import read_document

CASES = Path(__file__).parents[2] / "data" / "documents"
# What only the search has to find is the matter of other tests.
SEARCHED = ("Kestrel budget.txt", "手册.txt")


def rows() -> list[tuple[str, str, str]]:
    with (CASES / "documents.tsv").open(encoding="utf-8") as file:
        found = csv.DictReader(file, delimiter="\t")
        return [
            (row["file"], row["must be in the first hit"], row["what it is"])
            for row in found
            if row["file"] not in SEARCHED
        ]


@pytest.mark.parametrize(("name", "words", "kind"), rows())
def test_what_a_person_sees_in_a_document_is_in_one_of_its_chunks(name: str, words: str, kind: str) -> None:
    document = read_document(CASES / name)
    chunks = split(document)
    assert any(words in " ".join(chunk.text.split()) for chunk in chunks), kind
    assert all(document.text[chunk.start : chunk.end] == chunk.text for chunk in chunks)


def test_deleted_words_of_a_tracked_document_are_left_out() -> None:
    text = read_document(CASES / "tracked.docx").text
    assert text.count("crowns each way") == 1 and "twenty-one" in text


def test_a_text_layer_that_makes_no_sense_is_said_to_be_read_by_ocr() -> None:
    for name in ("tounicode_shift.pdf", "tounicode_pua.pdf"):
        document = read_document(CASES / name)
        assert document.notes == ("page 1: the text layer makes no sense, read by OCR instead",)
        assert document.pages[0].ocr


def test_the_cells_of_a_wrapped_table_stay_in_their_row() -> None:
    lines = read_document(CASES / "table_wrap.pdf").text.split("\n")
    assert "Brigg depot | Tom Achebe | 8,150 | Closed on Mondays and during the whole of August" in lines


def test_columns_are_read_one_after_the_other() -> None:
    for name, left, right in (
        ("twocol_rows.pdf", "rings at noon on market days only.", "Visitors pay four pounds"),
        ("twocol.png", "percent in the north.", "Visitors came from all"),
    ):
        text = " ".join(read_document(CASES / name).text.split())
        assert text.index(left) < text.index(right)


def test_only_a_hyphen_that_parts_a_word_is_undone() -> None:
    text = read_document(CASES / "codes.pdf").text
    for code in ("QX-4477-B", "ISO-9001", "2019-2024", " -40 degrees", "030-5551234", "follow-up", "state-of-the-art"):
        assert code in text


@pytest.mark.parametrize("name", ["upside.png", "sixteen.png"])
def test_a_picture_that_is_upside_down_or_deep_grey_is_read(name: str) -> None:
    document = read_document(CASES / name)
    assert "The lease of warehouse number seventeen" in document.text
    assert bool(document.notes) == (name == "upside.png")


def test_a_picture_in_an_unknown_script_says_so() -> None:
    assert document_notes("ru.png")


def document_notes(name: str) -> tuple[str, ...]:
    return read_document(CASES / name).notes

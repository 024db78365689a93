import contextlib
import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import docx
import pytest

from retrieval.reading import documents
from retrieval.reading.chunks import split
from retrieval.reading.documents import ReadLimits, read_bytes, read_document
from retrieval.reading.unreadable import (
    Broken,
    CannotOpen,
    ChangedWhileRead,
    Empty,
    Encrypted,
    Misnamed,
    NotAFile,
    NotText,
    TooLarge,
    UnknownType,
    Unreadable,
)
from retrieval.records import MediaType


def word_file(build: Callable[["docx.document.Document"], object]) -> bytes:
    document = docx.Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def html(body: str) -> str:
    return read_document(Path("page.html"), f"<html><body>{body}</body></html>".encode()).text


def test_a_text_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.TXT"
    file.write_bytes("第一行\r\n第二行\r\n".encode("gb18030"))
    document = read_document(file)
    assert (document.text, document.media_type, document.codec) == ("第一行\r\n第二行\r\n", "text", "gb18030")
    assert document.confidence > 0.5


def test_markdown_keeps_its_front_matter_and_gives_its_title() -> None:
    text = "---\ntitle: Handbook\n---\n# One\n"
    document = read_document(Path("a.mdx"), text.encode())
    assert (document.text, document.media_type, document.title) == (text, "markdown", "Handbook")


def test_csv_is_the_original_text() -> None:
    text = 'a,b\r\n"two\r\nlines",1\r\n'
    document = read_document(Path("a.csv"), text.encode("cp1252"))
    assert (document.text, document.media_type) == (text, "csv")


def test_a_page_becomes_its_visible_text_in_reading_order() -> None:
    text = html(
        "<h1>Top <b>one</b></h1><p>Hello <i>wor</i>ld<br>next</p><ul><li>one<li>two</ul>"
        "<table><tr><th>a</th><th>b</th></tr><tr><td><p>1</p></td><td>2</td></tr></table><img alt='a cat'>"
    )
    assert text == "# Top one\n\nHello world\nnext\n\n- one\n- two\n\na | b\n1 | 2\n\na cat"


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>secret</script>",
        "<style>secret</style>",
        "<!-- secret -->",
        "<p hidden>secret <b>secret</b></p>",
        "<span style='color: red; Display : none'>secret</span>",
        "<template><p>secret</p></template>",
    ],
)
def test_what_a_reader_does_not_see_is_left_out_and_what_follows_is_not(hidden: str) -> None:
    assert html(f"before{hidden}after").replace("\n", "") == "beforeafter"


def test_a_cell_that_lays_out_the_page_keeps_its_lines() -> None:
    assert html("<table><tr><td><h2>Head</h2><p>a</p><p>b</p></td></tr></table>") == "## Head\n\na\n\nb"


def test_code_on_a_page_makes_no_headings() -> None:
    document = read_document(Path("a.htm"), b"<h1>Real</h1><pre># comment\n  code</pre><p># not one</p>")
    assert document.text == "# Real\n\n```\n# comment\n  code\n```\n\n\\# not one"
    assert [chunk.headings for chunk in split(document)] == [("Real",)]


def test_a_page_says_its_own_encoding_and_title() -> None:
    page = "<meta charset='ISO-8859-2'><title> Krótka \n nazwa</title><p>źle".encode("iso8859-2")
    document = read_document(Path("a.html"), page)
    assert (document.text, document.title, document.codec) == ("źle", "Krótka nazwa", "iso8859-2")


def test_an_xhtml_page_may_declare_an_encoding() -> None:
    page = '<?xml version="1.0" encoding="gb2312"?><html><body><p>中文页面</p></body></html>'
    assert read_document(Path("a.html"), page.encode("gb2312")).text == "中文页面"


def test_a_page_nested_without_end_is_refused_and_not_read_in_part() -> None:
    with pytest.raises(Broken, match="256 deep"):
        html("<p>before</p>" + "<div>" * 100_000 + "inside")


def test_entities_of_a_page_do_not_multiply() -> None:
    bomb = '<!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + "<p>&b;&b;</p>"
    assert len(read_document(Path("a.html"), bomb.encode()).text) < 100


def test_a_word_document_keeps_headings_lists_and_tables_in_order() -> None:
    def build(document: "docx.document.Document") -> None:
        document.core_properties.title = "The report"
        document.add_heading("Results", 1)
        document.add_paragraph("Plain  words.")
        document.add_paragraph("# typed, no heading")
        document.add_paragraph("an item", style="List Bullet")
        table = document.add_table(rows=2, cols=3)
        for cell, text in zip(table._cells, ("name", "sum", "", "甲", "5", "x"), strict=True):
            cell.text = text
        table.cell(0, 1).merge(table.cell(0, 2))
        document.add_heading("Details", 2)
        document.add_paragraph("End.")

    document = read_document(Path("a.docx"), word_file(build))
    assert document.text == (
        "# Results\n\nPlain words.\n\n\\# typed, no heading\n\n- an item\nname | sum\n甲 | 5 | x\n\n## Details\n\nEnd."
    )
    assert document.title == "The report"
    assert [chunk.headings for chunk in split(document)] == [("Results",), ("Results", "Details")]


def test_a_word_document_that_unpacks_too_far_is_refused_unopened() -> None:
    data = word_file(lambda document: document.add_paragraph("a" * 200_000))
    with pytest.raises(TooLarge, match="unpacked"):
        read_document(Path("a.docx"), data, limits=ReadLimits(unpacked_bytes=150_000))


def test_entities_of_a_word_document_do_not_multiply() -> None:
    data = word_file(lambda document: document.add_paragraph("MARK and words"))
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(bomb, "w") as target:
        for name in source.namelist():
            part = source.read(name)
            if name == "word/document.xml":
                levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 9))
                part = part.replace(b"<w:document", f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><w:document'.encode(), 1)
                part = part.replace(b"MARK", b"&e8;")
            target.writestr(name, part)
    with contextlib.suppress(Broken):
        assert len(read_document(Path("a.docx"), bomb.getvalue()).text) < 100


def test_damage_to_a_word_document_is_a_reason_wherever_it_is() -> None:
    data = word_file(lambda document: document.add_paragraph("words"))
    for position in range(0, len(data), 997):
        damaged = data[:position] + bytes(b ^ 0x55 for b in data[position : position + 40]) + data[position + 40 :]
        for cut in (damaged, data[:position]):
            try:
                read_document(Path("a.docx"), cut)
            except Unreadable as error:
                assert error.reason


@pytest.mark.parametrize(
    ("name", "data", "error", "reason"),
    [
        ("a.exe", b"MZ", UnknownType, r"'\.exe' are not read; convert it to one of \.txt"),
        ("a.doc", b"\xd0\xcf\x11\xe0", UnknownType, r"'\.doc' are not read; convert it to \.docx$"),
        ("KERNEL", b"words", UnknownType, "'KERNEL'"),
        ("a.txt", b"", Empty, "no bytes"),
        ("a.txt", b" \r\n\t--- ***", Empty, "blanks and signs"),
        ("a.html", b"<p> <script>x</script>", Empty, "visible"),
        ("a.html", b"<!-- only this -->", Empty, "visible"),
        ("a.txt", b"\x00\x01\x02\x03" * 9, NotText, "NUL"),
        ("a.docx", b"PK\x03\x04 cut off", Broken, "Word document"),
        ("a.pdf", b"PK\x03\x04 cut off", Misnamed, "'.pdf' but holds a zip archive"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), Misnamed, "before 2007"),
        (
            "a.docx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            Encrypted,
            "password; save a copy without one",
        ),
        ("a.pdf", b"no pdf at all", Broken, "not a whole PDF"),
        ("a.png", b"no picture", Broken, "not a whole picture"),
    ],
)
def test_a_refusal_names_its_reason(name: str, data: bytes, error: type[Unreadable], reason: str) -> None:
    with pytest.raises(error, match=reason) as caught:
        read_document(Path(name), data)
    assert caught.value.reason == str(caught.value)
    assert "\n" not in caught.value.reason


def test_a_zip_named_pdf_is_no_pdf() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "words")
    with pytest.raises(Misnamed, match="zip archive"):
        read_document(Path("a.pdf"), buffer.getvalue())


def test_a_word_document_named_txt_is_read_and_says_so() -> None:
    document = read_document(Path("a.txt"), word_file(lambda d: d.add_paragraph("words")))
    assert (document.text, document.media_type) == ("words", "docx")
    assert document.notes == ("named '.txt' but read as docx, which it is",)


def test_a_text_about_cars_is_no_bitmap() -> None:
    assert read_document(Path("a.txt"), b"BMW is a maker of cars.").media_type == "text"


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "big.txt"
    with file.open("wb") as stream:
        stream.truncate(2 << 30)  # sparse: no disk is used
    with pytest.raises(TooLarge, match=r"2,147,483,648, more than the 67,108,864 allowed") as caught:
        read_document(file)
    assert caught.value.size == 2 << 30
    with pytest.raises(TooLarge):
        read_document(Path("a.txt"), b"12345", limits=ReadLimits(bytes=4))


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in the file system")
def test_a_pipe_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(NotAFile):
        read_document(tmp_path / "a.txt")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises((NotAFile, CannotOpen)):
        read_bytes(tmp_path / "folder.txt")
    with pytest.raises(CannotOpen, match="No such file"):
        read_bytes(tmp_path / "gone.txt")


@pytest.mark.parametrize("change", [b"longer than before", b"cut", b"WORDS!"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"words!")
    os.utime(file, ns=(1, 1))
    read = os.read

    def read_then_change(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        file.write_bytes(change)
        return data

    monkeypatch.setattr(os, "read", read_then_change)
    with pytest.raises(ChangedWhileRead, match="sync again"):
        read_bytes(file)


def test_every_media_type_has_an_ending() -> None:
    assert set(documents.MEDIA_TYPES.values()) == set(get_args(MediaType))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in documents.MEDIA_TYPES)

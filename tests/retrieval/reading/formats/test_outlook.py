"""Messages that Outlook saved, put together here property by property."""

import struct
from pathlib import Path

import pytest

from retrieval.reading.documents import read_document
from retrieval.reading.unreadable import Unreadable
from tests.retrieval.reading.formats.compound_file import Folder, compound_file

SENT = struct.pack("<HHIQ", 0x40, 0x0039, 6, 133_536_384_000_000_000)  # 2024-02-29 00:00 UTC, in steps of 100 ns
CYRILLIC = struct.pack("<HHIQ", 3, 0x3FFD, 6, 1251)


def wide(number: int, text: str) -> dict[str, bytes]:
    return {f"__substg1.0_{number:04X}001F": text.encode("utf-16-le")}


def narrow(number: int, data: bytes, kind: str = "001E") -> dict[str, bytes]:
    return {f"__substg1.0_{number:04X}{kind}": data}


def properties(*fixed: bytes, header: int = 32) -> dict[str, bytes]:
    return {"__properties_version1.0": bytes(header) + b"".join(fixed)}


def person(name: str, address: str, kind: int) -> dict[str, bytes]:
    of_kind = struct.pack("<HHIQ", 3, 0x0C15, 6, kind)
    return {**properties(of_kind, header=8), **wide(0x3001, name), **wide(0x39FE, address)}


def attached(name: str, data: bytes) -> dict[str, bytes]:
    return {**properties(header=8), **wide(0x3707, name), **narrow(0x3701, data, "0102")}


def test_a_message_is_read_with_its_people_its_date_and_what_is_attached() -> None:
    message: Folder = {
        **properties(SENT),
        **wide(0x0037, "Rents"),
        **wide(0x0C1A, "Ada"),
        **wide(0x5D01, "ada@example.org"),
        **wide(0x1000, "The rent of Brigg\r\n# goes down."),
        "__recip_version1.0_#00000000": person("Bo", "bo@example.org", 1),
        "__recip_version1.0_#00000001": person("Cy", "cy@example.org", 2),
        "__attach_version1.0_#00000000": attached("note.txt", b"It begins in May."),
        "__attach_version1.0_#00000001": attached("tool.exe", b"MZ"),
    }
    document = read_document(Path("rents.msg"), compound_file(message))
    assert document.title == "Rents"
    assert document.text.splitlines() == [
        "# Rents", "",
        "From: Ada <ada@example.org>", "To: Bo <bo@example.org>", "Cc: Cy <cy@example.org>",
        "Date: 2024-02-29 00:00 UTC", "",
        "The rent of Brigg", "\\# goes down.", "",
        "# Attached: note.txt", "", "It begins in May.",
    ]  # fmt: skip
    (note,) = document.notes
    assert note.startswith("the attached 'tool.exe' was not read: files of type '.exe'")


def test_a_message_inside_a_message_is_read() -> None:
    inner: Folder = {**properties(header=24), **wide(0x0037, "Old rents"), **wide(0x1000, "They were lower.")}
    outer: Folder = {
        **properties(),
        **wide(0x0037, "Rents"),
        "__attach_version1.0_#00000000": {
            **properties(header=8), **wide(0x3001, "Old rents"), "__substg1.0_3701000D": inner,
        },
    }  # fmt: skip
    document = read_document(Path("rents.msg"), compound_file(outer))
    assert [line for line in document.text.splitlines() if line] == [
        "# Rents", "# Attached: Old rents", "# Old rents", "They were lower.",
    ]  # fmt: skip


def test_eight_bit_words_are_read_by_the_page_that_the_message_names() -> None:
    body = {**narrow(0x0037, "Аренда".encode("cp1251")), **narrow(0x1000, "Снизится весной".encode("cp1251"))}
    document = read_document(Path("rents.msg"), compound_file({**properties(CYRILLIC), **body}))
    assert document.title == "Аренда" and document.text.endswith("Снизится весной")


@pytest.mark.parametrize(("page", "codec", "text"), [(50220, "iso2022_jp", "日本語の文"), (20866, "koi8_r", "Аренда")])
def test_pages_that_python_names_otherwise_are_known(page: int, codec: str, text: str) -> None:
    fixed = properties(struct.pack("<HHIQ", 3, 0x3FFD, 6, page))
    message = compound_file({**fixed, **narrow(0x0037, text.encode(codec))})
    assert read_document(Path("a.msg"), message).title == text


def test_a_mail_with_a_protected_attachment_is_read() -> None:
    locked = compound_file({"EncryptedPackage": b"locked"})
    message: Folder = {
        **properties(),
        **wide(0x0037, "Rents"),
        "__attach_version1.0_#00000000": attached("a.docx", locked),
    }
    document = read_document(Path("a.msg"), compound_file(message))
    assert document.title == "Rents"
    assert "the attached 'a.docx' was not read: protected by a password" in document.notes[0]


def test_a_body_of_html_alone_is_read_as_html() -> None:
    html = narrow(0x1013, b"<p>The rent <b>goes</b> down.</p>", "0102")
    assert read_document(Path("a.msg"), compound_file({**properties(), **html})).text.endswith("The rent goes down.")


def test_words_in_compressed_rich_text_alone_are_said_not_to_be_read() -> None:
    message = {**properties(), **wide(0x0037, "Rents"), **narrow(0x1009, b"\1\2\3", "0102")}
    (note,) = read_document(Path("a.msg"), compound_file(message)).notes
    assert "compressed rich text" in note


@pytest.mark.parametrize("length", [9, 600, 1_100])
def test_a_message_that_is_cut_off_is_refused_for_its_reason(length: int) -> None:
    whole = compound_file({**properties(SENT), **wide(0x0037, "Rents"), **wide(0x1000, "x" * 2_000)})
    with pytest.raises(Unreadable):
        read_document(Path("a.msg"), whole[:length])

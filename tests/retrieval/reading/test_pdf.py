import io
import threading
from collections.abc import Sequence
from pathlib import Path

import pypdfium2.raw as raw
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from retrieval.reading.chunks import split
from retrieval.reading.documents import ReadLimits, read_document
from retrieval.reading.pdf.document import read_pdf
from retrieval.reading.pdf.plausible import PLAUSIBLE, plausibility
from retrieval.reading.unreadable import Broken, Empty, Encrypted
from retrieval.records import Document


def make_pdf(pages: Sequence[str | None], *, title: str = "", trailer: str = "") -> bytes:
    """Write a PDF by hand: each page its lines in Helvetica; None is a page object that is missing."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
    kids = []
    for number, text in enumerate(pages):
        page, content = 10 + 2 * number, 11 + 2 * number
        kids.append(f"{page} 0 R")
        if text is None:
            continue
        lines = "".join(f"({line}) Tj 0 -20 Td " for line in text.split("\n"))
        stream = f"BT /F1 14 Tf 50 700 Td {lines}ET".encode("latin-1")
        objects[content] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)
        objects[page] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
    objects[2] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    if title:
        objects[4] = f"<< /Title ({title}) >>".encode()
        trailer += " /Info 4 0 R"
    data = b"%PDF-1.4\n"
    entries = ["0000000000 65535 f \n"]
    for number in range(1, max(objects) + 1):
        if number in objects:
            entries.append(f"{len(data):010} 00000 n \n")
            data += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
        else:
            entries.append("0000000000 65535 f \n")
    end = f"xref\n0 {len(entries)}\n{''.join(entries)}trailer\n<< /Size {len(entries)} /Root 1 0 R{trailer} >>\n"
    return data + f"{end}startxref\n{len(data)}\n%%EOF".encode()


def make_scan(words: str, pages: int = 1) -> bytes:
    image = Image.new("RGB", (1_240, 600), "white")
    ImageDraw.Draw(image).text((80, 200), words, "black", ImageFont.load_default(64))
    buffer = io.BytesIO()
    image.save(buffer, "PDF", resolution=150, save_all=True, append_images=[image] * (pages - 1))
    return buffer.getvalue()


def read(data: bytes, max_pages: int = 100, max_ocr_pages: int = 100) -> Document:
    return read_pdf(data, max_pages=max_pages, max_ocr_pages=max_ocr_pages, max_pixels=4_000_000)


def test_pages_keep_their_spans_and_chunks_their_page() -> None:
    document = read(make_pdf(["The first page\nhas two lines.", "And the second one."], title="Two pages"))
    first, second = document.pages
    assert document.text[first.start : first.end] == "The first page\nhas two lines."
    assert document.text[second.start : second.end] == "And the second one."
    assert document.text[first.end : second.start] == "\n\f"
    assert (document.title, document.media_type, document.notes) == ("Two pages", "pdf", ())
    assert [(chunk.page, chunk.text) for chunk in split(document)] == [
        (1, "The first page\nhas two lines."),
        (2, "And the second one."),
    ]


def test_a_title_that_no_person_gave_is_none() -> None:
    assert read(make_pdf(["Words of the page."], title="untitled")).title == ""


@pytest.mark.heavy
def test_a_page_that_is_only_a_picture_is_read_by_ocr() -> None:
    document = read(make_scan("Invoice number 4711"))
    assert document.text == "Invoice number 4711"
    assert document.pages[0].ocr


def test_a_page_with_few_words_and_no_picture_needs_no_ocr() -> None:
    document = read(make_pdf(["Annex"]))
    assert (document.text, document.pages[0].ocr) == ("Annex", False)


@pytest.mark.heavy
def test_scanned_pages_after_the_limit_are_a_note() -> None:
    document = read(make_scan("Seen by the machine", pages=2), max_ocr_pages=1)
    assert [page.ocr for page in document.pages] == [True, False]
    assert document.notes == ("page 2 could not be read: scanned, after the limit of 1 scanned pages",)


def test_pages_after_the_limit_are_a_note() -> None:
    document = read(make_pdf([f"This is page {n}." for n in range(1, 6)]), max_pages=2)
    assert len(document.pages) == 2
    assert "This is page 2." in document.text
    assert document.notes == ("pages 3 to 5 were not read: after the limit of 2 pages",)


def test_a_damaged_page_is_a_note_and_the_others_are_read() -> None:
    document = read(make_pdf(["One good page.", None, "Another good page."]))
    assert document.notes == ("page 2 could not be read: damaged",)
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert document.text[document.pages[2].start :] == "Another good page."


def test_a_password_is_asked_for() -> None:
    owner = "<" + "41" * 32 + ">"
    encrypt = f" /Encrypt << /Filter /Standard /V 1 /R 2 /O {owner} /U {owner} /P -4 >> /ID [<41> <41>]"
    with pytest.raises(Encrypted):
        read(make_pdf(["Secret words."], trailer=encrypt))


def test_what_is_no_pdf_is_broken() -> None:
    with pytest.raises(Broken, match="PDF"):
        read(b"%PDF-1.4 and nothing else")


def test_pages_without_a_word_are_empty() -> None:
    with pytest.raises(Empty, match="none of its 2 pages"):
        read(make_pdf(["", "---"]))


def test_a_pdf_with_another_name_is_read_and_says_so() -> None:
    document = read_document(Path("a.txt"), make_pdf(["Words of the page."]))
    assert (document.media_type, document.text) == ("pdf", "Words of the page.")
    assert document.notes == ("named '.txt' but read as pdf, which it is",)


def test_a_pdf_may_begin_after_a_few_bytes() -> None:
    assert read_document(Path("a.pdf"), b"\r\n" + make_pdf(["Words of the page."])).text == "Words of the page."


def test_limits_reach_the_pages() -> None:
    document = read_document(Path("a.pdf"), make_pdf(["One.", "Two."]), limits=ReadLimits(max_pages=1))
    assert document.text == "One."


def test_threads_may_read_at_once() -> None:
    data = make_pdf([f"This is page {n}." for n in range(40)])
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(read(data).text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4
    assert len(set(texts)) == 1


def test_a_letter_that_is_no_character_and_columns_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer, real = io.BytesIO(), raw.FPDFText_GetUnicode
    page = Canvas(buffer)
    page.grid([50, 100, 200, 300, 400], [500, 520, 540])
    for y, words in ((525, ("Depot", "Rent")), (505, ("Brigg", "8150"))):
        page.drawString(105, y, words[0])
        page.drawString(305, y, words[1])
    page.save()
    monkeypatch.setattr(raw, "FPDFText_GetUnicode", lambda page, n: 0xE0E0E0 if n == 0 else real(page, n))
    assert read_document(Path("a.pdf"), buffer.getvalue()).text == "\ufffdepot | Rent\nBrigg | 8150"


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_with_a_table_over_two_columns_is_read_as_it_is_shown(turn: int) -> None:
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=(600, 700) if turn in (0, 180) else (700, 600))
    page.setPageRotation(turn)
    page.translate(*{0: (0, 0), 90: (700, 0), 180: (600, 700), 270: (0, 600)}[turn])
    page.rotate(turn)
    page.grid([50, 200, 300], [600, 620, 640])
    for y, cells in ((625, ("Depot", "Rent")), (605, ("Brigg", "8150"))):
        page.drawString(55, y, cells[0])
        page.drawString(205, y, cells[1])
    for line in range(8):
        page.drawString(50, 400 - 14 * line, f"left column line {line} goes on and")
        page.drawString(320, 400 - 14 * line, f"right column line {line} goes on and")
    page.save()
    lines = read_document(Path("a.pdf"), buffer.getvalue()).text.splitlines()
    assert lines[:2] == ["Depot | Rent", "Brigg | 8150"]
    assert lines[2:] == [f"{side} column line {n} goes on and" for side in ("left", "right") for n in range(8)]


@pytest.mark.parametrize(
    ("title", "plausible"),
    [
        ("5(&20('$&,1", False),
        ("f(x) = a*(b+c)", True),
        ("12,345.67", True),
        ("10,5% 12,3% 9,8%", True),
        ("Îãëàâëåíèå", False),
        ("Příliš žluťoučký kůň úpěl", True),
        ("Đặng Thị Mỹ", True),
    ],
)
def test_a_short_title_of_shifted_letters_is_told_from_a_formula(title: str, plausible: bool) -> None:
    assert (plausibility(title) >= PLAUSIBLE) == plausible

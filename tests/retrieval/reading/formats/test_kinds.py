import io
import json
import zipfile
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pi_heif
import pptx
import pytest
import xlsxwriter
from lxml import etree
from PIL import Image, ImageDraw, ImageFont
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI

from retrieval.reading.chunks import split
from retrieval.reading.documents import read_document
from retrieval.reading.formats.mail import read_mailbox
from retrieval.reading.unreadable import Broken, Unreadable
from retrieval.records import Document

_NS = 'xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:b" xmlns:draw="urn:d" xmlns:presentation="urn:p"'


def archive(**parts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return buffer.getvalue()


def workbook() -> bytes:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Depot</t></is></c><c r="B1" t="inlineStr"><is><t>Rent</t></is></c>'
        '</row><row r="3"><c r="A3" t="inlineStr"><is><t>Brigg</t></is></c><c r="B3"><v>8150</v></c></row>'
        "</sheetData></worksheet>"
    )
    main = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return archive(
        **{
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
            f'PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{main}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
            f'xmlns:r="{main}"><sheets><sheet name="Rents 2024" sheetId="1" r:id="s"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="s" '
            f'Type="{main}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": sheet,
        }
    )


def picture(words: str) -> Image.Image:
    image = Image.new("RGB", (900, 200), "white")
    ImageDraw.Draw(image).text((40, 60), words, "black", ImageFont.load_default(56))
    return image


def test_a_row_of_a_workbook_is_cited_by_sheet_and_row_under_its_header() -> None:
    document = read_document(Path("rents.xlsx"), workbook())
    (chunk,) = split(document)
    assert chunk.text == "Brigg | 8150"
    assert chunk.headings == ("Rents 2024, row 3", "Depot | Rent")
    assert document.text[chunk.start : chunk.end] == chunk.text


def test_what_stands_beside_the_cells_of_a_workbook_is_read_under_its_sheet() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet("Rents")
        sheet.add_table("A1:B3", {"data": [["Brigg", 8150], ["Hull", 9150]], "columns": [{"header": "Depot"}, {}]})
        sheet.write_comment("B2", "Goes down in spring.", {"author": "Ada"})
        sheet.insert_textbox("D2", "Ask Mr Vane first.")
        chart = book.add_chart({"type": "bar"})
        chart.add_series({"name": "Rent", "categories": "=Rents!$A$2:$A$3", "values": "=Rents!$B$2:$B$3"})
        chart.set_title({"name": "Rents by depot"})
        sheet.insert_chart("D8", chart)
        book.add_worksheet("Words in a box alone").insert_textbox("A1", "Brigg closes in May.")
    document = read_document(Path("rents.xlsx"), buffer.getvalue())
    rows, beside, alone = split(document)
    assert rows.text == "Brigg | 8150\nHull | 9150" and rows.headings[0] == "Rents, rows 2 to 3"
    assert beside.headings == ("Rents", "Comments, text boxes and charts")
    assert beside.text.splitlines()[2:] == [
        "Ask Mr Vane first.", "Rents by depot", "Rent: Brigg 8150, Hull 9150", "B2: Ada: Goes down in spring.",
    ]  # fmt: skip
    assert alone.headings[0] == "Words in a box alone" and alone.text.endswith("Brigg closes in May.")
    assert document.notes == ()


def test_charts_diagrams_and_comments_of_a_slide_are_read() -> None:
    shown = pptx.Presentation()
    slide = shown.slides.add_slide(shown.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["Brigg", "Hull"]
    data.add_series("Rent", (8150, 9150))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 99, 99, data)
    points = "".join(
        f"<d:pt><d:t><a:p>{''.join(f'<a:r><a:t>{run}</a:t></a:r>' for run in runs)}</a:p></d:t></d:pt>"
        for runs in (("Or", "der"), ("Deliver",))
    )
    model = f'<d:dataModel xmlns:d="urn:d" xmlns:a="urn:a"><d:ptLst>{points}</d:ptLst></d:dataModel>'
    comment = '<p:cmLst xmlns:p="urn:p"><p:cm><p:text>Check the rent.</p:text></p:cm></p:cmLst>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    for name, kind, xml in (("diagrams/data1", "diagramData", model), ("comments/comment1", "comments", comment)):
        part = Part(PackURI(f"/ppt/{name}.xml"), "application/xml", shown.part.package, xml.encode())
        id = slide.part.relate_to(part, f"{office}/{kind}")
        if kind == "diagramData":
            frame = slide.shapes.add_table(1, 1, 0, 0, 9, 9)._element
            (graphic,) = frame.iter("{http://schemas.openxmlformats.org/drawingml/2006/main}graphicData")
            graphic.set("uri", "http://schemas.openxmlformats.org/drawingml/2006/diagram")
            graphic[:] = [etree.fromstring(f'<d:relIds xmlns:d="urn:d" xmlns:r="{office}" r:dm="{id}"/>')]
    buffer = io.BytesIO()
    shown.save(buffer)
    document = read_document(Path("rents.pptx"), buffer.getvalue())
    assert document.text.splitlines() == [
        "Rent: Brigg 8150, Hull 9150", "Order", "Deliver", "Comment: Check the rent.",
    ]  # fmt: skip
    assert document.notes == ()


def test_a_slide_is_a_page_with_its_table_and_notes() -> None:
    shown = pptx.Presentation()
    for number in (1, 2):
        slide = shown.slides.add_slide(shown.slide_layouts[5])
        slide.shapes.title.text = f"Mast {number}"
    table = slide.shapes.add_table(1, 2, 0, 0, 99, 99).table
    table.cell(0, 0).text, table.cell(0, 1).text = "height", "41 metres"
    slide.notes_slide.notes_text_frame.text = "Say that it is painted."
    buffer = io.BytesIO()
    shown.save(buffer)
    document = read_document(Path("mast.pptx"), buffer.getvalue())
    second = document.pages[1]
    assert document.text[second.start : second.end] == "Mast 2\nheight | 41 metres\nNotes: Say that it is painted."
    assert [chunk.page for chunk in split(document)] == [1, 2]


def test_an_open_document_is_read_with_headings_tables_and_notes_but_without_what_was_deleted() -> None:
    content = (
        f"<office:document-content {_NS}><office:body><office:text><text:tracked-changes><text:p>gone</text:p>"
        '</text:tracked-changes><text:h text:outline-level="2">Mill</text:h><text:p>The wheel<text:note>'
        "<text:note-citation>1</text:note-citation><text:note-body><text:p>of oak</text:p></text:note-body>"
        "</text:note> turns.</text:p><table:table>"
        "<table:table-row><table:table-cell><text:p>width</text:p></table:table-cell>"
        "<table:table-cell><text:p>3 m</text:p></table:table-cell></table:table-row></table:table></office:text>"
        "</office:body></office:document-content>"
    )
    document = read_document(Path("mill.odt"), archive(**{"content.xml": content}))
    assert document.text == "## Mill\n\nThe wheel turns.\n\nof oak\n\nwidth | 3 m"


def test_a_book_is_read_chapter_by_chapter() -> None:
    book = archive(
        **{
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="in/b.opf"/></rootfiles></container>',
            "in/b.opf": "<package><metadata><title>Tales</title></metadata><manifest>"
            '<item id="b" href="two.xhtml"/><item id="a" href="one.xhtml"/><item id="c" href="none.xhtml"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/></spine></package>',
            "in/one.xhtml": "<html><body><h1>One</h1><p>The fox ran.</p></body></html>",
            "in/two.xhtml": "<html><body><h1>Two</h1><p>The hen hid.</p></body></html>",
        }
    )
    document = read_document(Path("tales.epub"), book)
    assert [(chunk.headings, chunk.text.split("\n")[-1]) for chunk in split(document)] == [
        (("One",), "The fox ran."),
        (("Two",), "The hen hid."),
    ]
    assert document.title == "Tales" and "none.xhtml" in document.notes[0]


def test_a_mail_is_read_with_what_is_attached_and_names_what_is_not() -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Rent of Brigg", "Tom <tom@example.org>"
    mail.set_content("The rent is due.\n")
    mail.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="rent.csv")
    mail.add_attachment(b"\0\1", maintype="application", subtype="x", filename="tool.exe")
    document = read_document(Path("rent.eml"), mail.as_bytes())
    assert document.text.startswith("# Rent of Brigg\n\nFrom: Tom <tom@example.org>\n\nThe rent is due.")
    assert document.text.endswith("# Attached: rent.csv\n\na,b\n1,2")
    assert len(document.notes) == 1 and "tool.exe" in document.notes[0]


@pytest.mark.parametrize(
    ("plain", "page", "said"),
    [
        (
            "see html\n",
            "<p>Gran turns <b>90</b> on the 17th of August.</p>",
            "Gran turns **90** on the 17th of August.",
        ),
        ("\n", "<p>The rent is due.</p>", "The rent is due."),
        ("The rent is due on Monday.\n", "<p>The rent is due on Monday.</p>", "The rent is due on Monday."),
        ("The rent is due on Monday.\n", "<p></p>", "The rent is due on Monday."),
    ],
)
def test_of_a_mail_that_is_written_twice_the_fuller_one_is_read(plain: str, page: str, said: str) -> None:
    mail = EmailMessage()
    mail["Subject"] = "News"
    mail.set_content(plain)
    mail.add_alternative(page, subtype="html")
    document = read_document(Path("news.eml"), mail.as_bytes())
    assert (document.text.replace("**", ""), document.notes) == (f"# News\n\n\n{said}".replace("**", ""), ())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><text>The mill burned</text></svg>", "The mill burned"),
        ("a.ics", b"BEGIN:VEVENT\nSUMMARY:The mill\nEND:VEVENT", "BEGIN:VEVENT\nSUMMARY:The mill\nEND:VEVENT"),
        ("a.rtf", rb"{\rtf1\ansi\pard The \b mill\b0  burned in 1812.\par}", "The mill burned in 1812."),
        (
            "a.ipynb",
            json.dumps({"cells": [{"cell_type": "markdown", "source": "# Mill\ntall"}]}).encode(),
            "tall",
        ),
        ("README", b"The mill stands.", "The mill stands."),
        ("a.markdown", b"# Mill\n\ntall", "tall"),
        ("a.text", b"The mill stands.", "The mill stands."),
        ("a.rst", b"Mill\n====\n\ntall", "tall"),
        ("a.org", b"* Mill\ntall", "tall"),
        ("a.py", b"# Mill\nHEIGHT = 3\n", "HEIGHT = 3"),
        ("a.json", b'{"mill": "tall"}', "tall"),
        ("a.jsonl", b'{"mill": "tall"}\n', "tall"),
        ("a.tsv", b"name\theight\nmill\t3\n", "mill\t3"),
    ],
)
def test_files_that_are_text_underneath_are_read(name: str, data: bytes, words: str) -> None:
    document = read_document(Path(name), data)
    assert any(words in chunk.text for chunk in split(document))


def test_every_page_of_a_tiff_is_read() -> None:
    buffer = io.BytesIO()
    picture("First page").save(buffer, "TIFF", save_all=True, append_images=[picture("Second page")])
    text = read_document(Path("fax.tiff"), buffer.getvalue()).text
    assert text.index("First page") < text.index("Second page")


@pytest.mark.parametrize("suffix", ["xlsx", "pptx", "odt", "epub", "docx"])
def test_a_damaged_archive_is_named_as_such(suffix: str) -> None:
    with pytest.raises(Broken):
        read_document(Path(f"a.{suffix}"), b"PK\x03\x04 cut off")
    with pytest.raises(Unreadable):
        read_document(Path(f"a.{suffix}"), archive(other="<a/>"))


def test_heic_is_known() -> None:
    assert pi_heif.register_heif_opener
    with pytest.raises(Broken, match="picture"):
        read_document(Path("a.heic"), b"\0\0\0\x18ftypheic cut off")


def test_cells_of_a_web_page_that_are_empty_or_span_rows_keep_their_columns() -> None:
    rows = (
        "<tr><th>Kind<th>Days<th>From</tr><tr><td rowspan=2>Annual<td>30<td>May</tr><tr><td>5 more<td></tr>"
        "<tr><td></td><td>7</td></tr>"
    )
    document = read_document(Path("leave.html"), f"<table>{rows}</table><svg><text>By law</text></svg>".encode())
    assert document.text.splitlines() == [
        "Kind | Days | From", "Annual | 30 | May", "Annual | 5 more", "| 7", "", "By law",
    ]  # fmt: skip


def test_a_page_that_a_browser_saved_as_one_file_is_read_as_the_page() -> None:
    page = MIMEText("<meta charset=gb2312><h1>Mühle</h1><p>Sie brannte.", "html", "utf-8")
    saved = MIMEMultipart("related", _subparts=[page, MIMEImage(b"GIF89a", "gif")])
    document = read_document(Path("mill.mhtml"), saved.as_bytes())
    assert (document.title, document.text) == ("Mühle", "# Mühle\n\nSie brannte.")


def test_a_mailbox_is_read_mail_by_mail() -> None:
    mails = "".join(
        f"From ada@example.org Thu Feb 29 10:00:00 2024\nSubject: Rents {n}\n\nFrom May on {n} less.\n\n"
        for n in (1, 2)
    )
    document = read_document(Path("rents.mbox"), mails.encode())
    assert [chunk.headings for chunk in split(document)] == [("Rents 1",), ("Rents 2",)]
    assert document.text.endswith("From May on 2 less.") and document.notes == ()


def test_a_cell_that_spans_keeps_its_width_and_is_not_said_again_without_end() -> None:
    rows = "<tr><th colspan=2 rowspan=2>X<th rowspan=2>Y<th colspan=2>Z</tr><tr><th>z1<th>z2</tr>"
    document = read_document(Path("a.html"), f"<table>{rows}<tr><td>1<td>2<td>3<td>4<td>5</tr></table>".encode())
    assert document.text.splitlines() == ["X | Y | Z", "X | Y | z1 | z2", "1 | 2 | 3 | 4 | 5"]
    bomb = f"<table><tr><td rowspan=1000>{'x' * 2000}<td>y</tr>{'<tr><td>z</tr>' * 999}</table>"
    assert len(read_document(Path("a.html"), bomb.encode()).text) < 200_000


def test_an_icon_that_is_not_shown_does_not_speak() -> None:
    page = b"<svg style='display:none'><text>sprite</text></svg><p>The mill burned.</p>"
    assert read_document(Path("a.html"), page).text == "The mill burned."


def test_a_chart_keeps_each_value_behind_its_category_where_a_cell_is_empty() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet("Rents")
        for row, cells in enumerate((("Jan", 1), ("Feb", None), ("Mar", 3))):
            sheet.write_row(row, 0, cells)
        chart = book.add_chart({"type": "line"})
        chart.add_series({"categories": "=Rents!$A$1:$A$3", "values": "=Rents!$B$1:$B$3"})
        sheet.insert_chart("D1", chart)
    assert read_document(Path("a.xlsx"), buffer.getvalue()).text.splitlines()[-1].endswith("Jan 1, Mar 3")


def test_a_shape_that_cannot_be_read_costs_itself_only() -> None:
    shown = pptx.Presentation()
    slide = shown.slides.add_slide(shown.slide_layouts[5])
    slide.shapes.title.text = "Budget is 42"
    box = slide.shapes.add_textbox(0, 0, 9, 9)._element
    box.remove(box.txBody)
    for geometry in list(box.spPr):
        box.spPr.remove(geometry)
    box.nvSpPr.cNvSpPr.attrib.clear()
    buffer = io.BytesIO()
    shown.save(buffer)
    assert read_document(Path("a.pptx"), buffer.getvalue()).text == "Budget is 42"


def test_a_damaged_attachment_costs_neither_its_mail_nor_the_mailbox() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Rents"
    mail.set_content("They go down.\nFrom here on we go\nNote: all of us.")
    mail.add_attachment(b"words", "text", "plain", filename="a.csv")

    def read_attached(name: str, data: bytes) -> Document:
        raise RecursionError

    boxed = b"From a@b Thu Feb 29 10:00:00 2024\n" + mail.as_bytes() + b"\n"
    document = read_mailbox(boxed * 2, read_attached)
    assert document.text.count("Note: all of us.") == 2 and len(document.notes) == 2

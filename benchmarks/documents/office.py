"""Writes office documents of each kind around a sentence: Word, slides, workbooks, OpenDocument, RTF, EPUB."""

import io
import zipfile
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from benchmarks.documents.facts import FILLER, Fact

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _docx(build: Callable[[object, Fact], None]) -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        from docx import Document

        document = Document()
        document.add_heading(f"About the {fact.other}", 1)
        document.add_paragraph(FILLER)
        build(document, fact)
        document.add_paragraph(FILLER)
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()

    return write


def _body(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
    document.add_paragraph(fact.sentence)


def _table(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
    table = document.add_table(rows=3, cols=2)
    for row, cells in enumerate((("Name", fact.topic), (fact.name, fact.value), (fact.other, "unknown"))):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell


def _nested_table(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
    outer = document.add_table(rows=1, cols=1).cell(0, 0)
    outer.text = "In here:"
    outer.add_table(rows=1, cols=1).cell(0, 0).text = fact.sentence


def _header(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
    document.sections[0].header.paragraphs[0].text = fact.sentence


def _footer(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
    document.sections[0].footer.paragraphs[0].text = fact.sentence


def _xml(inner: str) -> Callable[[object, Fact], None]:
    def build(document, fact: Fact) -> None:  # type: ignore[no-untyped-def]
        from docx.oxml import parse_xml

        paragraph = f'<w:p xmlns:w="{W}" xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
        document.element.body.insert(2, parse_xml(f"{paragraph}>{inner.format(said=escape(fact.sentence))}</w:p>"))

    return build


_inserted = _xml('<w:ins w:id="1" w:author="A"><w:r><w:t>{said}</w:t></w:r></w:ins>')
_text_box = _xml(
    '<w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent><w:p><w:r>'
    "<w:t>{said}</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
)
_content_control = _xml("<w:sdt><w:sdtContent><w:r><w:t>{said}</w:t></w:r></w:sdtContent></w:sdt>")
_field = _xml('<w:fldSimple w:instr="REF x"><w:r><w:t>{said}</w:t></w:r></w:fldSimple>')
_deleted_before = _xml(
    '<w:del w:id="2" w:author="A"><w:r><w:delText>Not this.</w:delText></w:r></w:del><w:r><w:t>{said}</w:t></w:r>'
)


def _pptx(where: str) -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        from pptx import Presentation
        from pptx.util import Inches

        slides = Presentation()
        for number in (1, 2):
            slide = slides.slides.add_slide(slides.slide_layouts[1])
            slide.shapes.title.text = f"Slide {number} about the {fact.other}"
            slide.placeholders[1].text = FILLER
            if number == 2 and where == "text":
                slide.placeholders[1].text = fact.sentence
            if number == 2 and where == "notes":
                slide.notes_slide.notes_text_frame.text = fact.sentence
            if number == 2 and where == "table":
                table = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(6), Inches(1)).table
                for row, cells in enumerate((("Name", fact.topic), (fact.name, fact.value))):
                    for column, cell in enumerate(cells):
                        table.cell(row, column).text = cell
        out = io.BytesIO()
        slides.save(out)
        return out.getvalue()

    return write


def _xlsx(fact: Fact) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet("First").write(0, 0, FILLER)
        sheet = book.add_worksheet("Stock")
        for row, cells in enumerate((("Name", fact.topic), (fact.other, "unknown"), (fact.name, fact.value))):
            for column, cell in enumerate(cells):
                sheet.write(row + 2, column + 1, cell)
    return out.getvalue()


def _zipped(parts: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


_ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
)


def _opendocument(kind: str, inner: str) -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        said = inner.format(
            said=escape(fact.sentence),
            filler=FILLER,
            name=fact.name,
            topic=fact.topic,
            value=fact.value,
            other=fact.other,
        )
        content = f"<office:document-content {_ODF}><office:body>{said}</office:body></office:document-content>"
        media_type = f"application/vnd.oasis.opendocument.{kind}"
        manifest = (
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media_type}"/></manifest:manifest>'
        )
        return _zipped({"mimetype": media_type, "META-INF/manifest.xml": manifest, "content.xml": content})

    return write


def _cells(*words: str) -> str:
    cells = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{word}</text:p></table:table-cell>' for word in words
    )
    return f"<table:table-row>{cells}</table:table-row>"


_odt = _opendocument("text", "<office:text><text:p>{filler}</text:p><text:p>{said}</text:p></office:text>")
_odp = _opendocument(
    "presentation",
    "<office:presentation><draw:page><draw:frame><draw:text-box><text:p>{said}</text:p></draw:text-box></draw:frame>"
    "</draw:page></office:presentation>",
)
_ods = _opendocument(
    "spreadsheet",
    '<office:spreadsheet><table:table table:name="Stock">'
    + _cells("Name", "{topic}") + _cells("{other}", "unknown") + _cells("{name}", "{value}")
    + "</table:table></office:spreadsheet>",
)  # fmt: skip


def _epub(fact: Fact) -> bytes:
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{title}</h1><p>{text}</p></body></html>'
    return _zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "c.opf": package,
            "a.xhtml": page.format(title=f"About the {fact.other}", text=FILLER),
            "b.xhtml": page.format(title="Second chapter", text=escape(fact.sentence)),
        }
    )


def _rtf(fact: Fact) -> bytes:
    return f"{{\\rtf1\\ansi {{\\b {FILLER}}}\\par {fact.sentence}\\par}}".encode()


KINDS: Mapping[str, tuple[str, Callable[[Fact], bytes]]] = {
    "word: body": ("docx", _docx(_body)),
    "word: table": ("docx", _docx(_table)),
    "word: nested table": ("docx", _docx(_nested_table)),
    "word: header": ("docx", _docx(_header)),
    "word: footer": ("docx", _docx(_footer)),
    "word: tracked insertion": ("docx", _docx(_inserted)),
    "word: text box": ("docx", _docx(_text_box)),
    "word: content control": ("docx", _docx(_content_control)),
    "word: field": ("docx", _docx(_field)),
    "word: behind a deletion": ("docx", _docx(_deleted_before)),
    "slides: text": ("pptx", _pptx("text")),
    "slides: notes": ("pptx", _pptx("notes")),
    "slides: table": ("pptx", _pptx("table")),
    "workbook": ("xlsx", _xlsx),
    "opendocument text": ("odt", _odt),
    "opendocument slides": ("odp", _odp),
    "opendocument sheet": ("ods", _ods),
    "epub": ("epub", _epub),
    "rtf": ("rtf", _rtf),
}
"""Ending and writer by kind."""

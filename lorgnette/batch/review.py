"""The review page of a batch: each document's page with the words framed beside its values, unproven ones first.

One HTML file that loads nothing and runs nothing; what documents and models wrote is text in it and never markup.
"""

import base64
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from common.atomic_files import whole_file
from common.safe_text import printable
from graph.answer import FieldValue
from lorgnette.batch.errors import BatchError
from lorgnette.batch.rows import Row
from lorgnette.batch.table import Document
from model.errors import ImageError
from model.pictures.open import open_picture
from model.pictures.source import split_source

if TYPE_CHECKING:
    from PIL import Image

MARK = "<!-- fields, by lorgnette -->"
"""By which a page of ours is known, so that no other file is overwritten."""
WIDTH, QUALITY = 900, 70
MOST_PICTURE_BYTES = 48 * 2**20
MOST_PAGES = 3
"""Of a document."""
AGREES, UNPROVEN = "#1a7f37", "#d55e00"
_NOT_SHOWN = "Its page cannot be shown."
_TOO_LARGE = "No picture: the page would become too large for a browser."
_STYLE = f"""
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem; color: #1b1b1b }}
section {{ display: flex; gap: 1.5rem; border-top: 1px solid #bbb; padding: 1rem 0; align-items: flex-start }}
section > div {{ flex: 1 1 26rem; min-width: 0; overflow-wrap: anywhere }}
img {{ flex: 0 1 {WIDTH}px; min-width: 0; max-width: 60%; border: 1px solid #ccc }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #ddd }}
.agrees {{ color: {AGREES} }} .unproven {{ color: {UNPROVEN}; font-weight: 600 }}
small {{ color: #555 }} q {{ font-family: ui-monospace, monospace }}
h2 {{ font-size: 1.05rem; margin: 0 0 .5rem }}
"""


def check_review(path: Path) -> None:
    """Raise where a page would take the place of a file that is no page of ours.

    Raises:
        BatchError: It would.
    """
    try:
        with path.open("rb") as file:
            if MARK.encode() in file.read(200):
                return
    except FileNotFoundError:
        return
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError("batch_output_unwritable", path=str(path), reason=reason) from None
    raise BatchError("batch_review_foreign", path=str(path))


def write_review(path: Path, documents: Sequence[Document], roots: Sequence[Path]) -> None:
    """Write the page; documents with most unproven values come first.

    Args:
        path: Its folder is there.
        documents: Of the batch.
        roots: Folders from which pictures may be read.

    Raises:
        BatchError: It cannot be written.
    """
    try:
        with whole_file(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(_page(documents, roots))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BatchError("batch_output_unwritable", path=str(path), reason=reason) from None


def _page(documents: Sequence[Document], roots: Sequence[Path]) -> Iterator[str]:
    unproven = sum(document.unproven for document in documents)
    values = sum(len(document.values) for document in documents)
    yield f'<!doctype html>{MARK}\n<html lang="en"><head><meta charset="utf-8"><title>Fields</title>'
    yield '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    yield f"style-src 'unsafe-inline'\"><style>{_STYLE}</style></head><body><h1>Fields</h1>\n"
    yield f"<p>{len(documents):,} documents, {values:,} values, {unproven:,} of them unproven.</p>\n"
    left = MOST_PICTURE_BYTES
    for document in sorted(documents, key=lambda document: (-document.unproven, not document.notes)):
        pictures: list[bytes] = []
        if left > 0:
            pictures = list(_pictures(document, roots))
            left -= sum(map(len, pictures))
        yield f"<section><div><h2>{_text(document.name)}</h2>"
        yield from _table(document)
        yield from (f"<p><small>{_text(note)}</small></p>" for note in document.notes)
        if not pictures and isinstance(document.row, Row) and document.row.question.images:
            yield f"<p><small>{_NOT_SHOWN if left > 0 else _TOO_LARGE}</small></p>"
        yield "</div>"
        for data in pictures:
            yield f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode("ascii")}">'
        yield "</section>\n"
    yield "</body></html>\n"


def _table(document: Document) -> Iterator[str]:
    if not document.values:
        return
    yield "<table><tr><th>field</th><th>value</th><th></th><th>what stands there</th></tr>"
    for one in sorted(document.values, key=lambda one: one.status == "agrees"):
        page = f"<small>page {one.page}</small> " if one.page is not None else ""
        words = f"<q>{_text(one.words)}</q>" if one.words else ""
        note = f" <small>{_text(one.note)}</small>" if one.note else ""
        yield f"<tr><td>{_text(one.name)}</td><td>{_text(one.value or '')}</td>"
        yield f'<td class="{one.status}">{one.status}</td><td>{page}{words}{note}</td></tr>'
    yield "</table>"


def _text(text: str) -> str:
    return escape(printable(text), quote=True)


def _pictures(document: Document, roots: Sequence[Path]) -> Iterator[bytes]:
    """Give the pages on which the document's values stand, or its first one, framed, as JPEG."""
    if not isinstance(document.row, Row):
        return
    shown = 0
    for source in document.row.question.images:
        own = [one for one in document.values if _is_of(one, source)]
        for page in sorted({one.page or 0 for one in own if one.regions}) or [0]:
            if shown == MOST_PAGES:
                return
            framed = [one for one in own if one.regions and (one.page or 0) == page]
            if (data := _picture(source, page, framed, roots)) is not None:
                shown += 1
                yield data


def _is_of(one: FieldValue, source: str) -> bool:
    """Whether a value stands in what a row names; the agent may have made its path whole."""
    if source.startswith("data:"):
        return one.source.startswith("data:")
    with suppress(ImageError, ValueError):
        return os.path.realpath(split_source(one.source)[0]) == os.path.realpath(split_source(source)[0])
    return one.source == source


def _picture(source: str, page: int, framed: Sequence[FieldValue], roots: Sequence[Path]) -> bytes | None:
    try:
        name, part = split_source(source)
        where = f"#page={page}" if page else f"#page={part.pages[0]}" if part.pages else ""
        image = open_picture(f"{name}{where}", roots).image
    except ImageError:
        return None
    image = image.convert("RGB")
    image.thumbnail((WIDTH, 2 * WIDTH))
    _frame(image, framed)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _frame(image: "Image.Image", framed: Sequence[FieldValue]) -> None:
    from PIL import ImageDraw

    canvas, (width, height) = ImageDraw.Draw(image), image.size
    for one in framed:
        colour = AGREES if one.status == "agrees" else UNPROVEN
        for region in one.regions:
            left, top = region.x1 * width / 1_000 - 2, region.y1 * height / 1_000 - 2
            right, bottom = region.x2 * width / 1_000 + 2, region.y2 * height / 1_000 + 2
            canvas.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=2)

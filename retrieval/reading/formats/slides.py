"""Turns a PowerPoint presentation into text: a page a slide, with tables, charts, diagrams, pictures, comments."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from retrieval.reading.formats.archive import DAMAGE, LOST, check_archive, local, parse_xml, value
from retrieval.reading.formats.drawing_words import chart_lines, diagram_lines, paragraphs
from retrieval.reading.formats.inner_pictures import InnerPictures
from retrieval.reading.unreadable import Broken, Empty, Unreadable
from retrieval.records import Document, Page

_BETWEEN = "\n\n"
_LOST = (*LOST, SyntaxError)  # lxml's errors of syntax are Python's
_UNREAD = {
    "EMBEDDED_OLE_OBJECT": "save the embedded object as a file of its own",
    "MEDIA": "films and sounds are not",
    None: "its kind is not known",
}  # by the names of pptx.enum.shapes.MSO_SHAPE_TYPE


def read_slides(data: bytes, *, max_unpacked_bytes: int) -> Document:
    """Read a presentation.

    Raises:
        Broken: It is damaged.
        Empty: No slide has a word.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    import pptx
    from lxml.etree import LxmlError
    from pptx.exc import PythonPptxError

    check_archive(data, max_unpacked_bytes, "presentation")
    reader = _Slides()
    parts: list[str] = []
    try:
        shown = pptx.Presentation(io.BytesIO(data))
        title = " ".join((shown.core_properties.title or "").split())
        parts = [reader.slide(slide, number) for number, slide in enumerate(shown.slides, 1)]
    except (PythonPptxError, LxmlError, zipfile.BadZipFile, zlib.error) as error:
        raise Broken("presentation", str(error)) from None
    except DAMAGE as error:
        raise Broken("presentation", f"{type(error).__name__}: {error}") from None
    text = _BETWEEN.join(parts)
    if not re.search(r"\w", text):
        raise Empty("no slide has a word")
    pages, position = [], 0
    for number, part in enumerate(parts, 1):
        pages.append(Page(number, position, position + len(part)))
        position += len(part) + len(_BETWEEN)
    return Document(text, "slides", tuple(pages), title=title, notes=tuple(reader.notes))


class _Slides:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self._pictures = InnerPictures(self.notes, "were not read")

    def slide(self, slide: Any, number: int) -> str:
        lines = [line for shape in slide.shapes for line in self._whole(shape, number)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            said = slide.notes_slide.notes_text_frame.text.strip()
            lines += [f"Notes: {said}"] if said else []
        for related in slide.part.rels.values():
            if not related.is_external and related.reltype.endswith("/comments"):
                try:
                    lines += [f"Comment: {said}" for said in _comments(parse_xml(related.target_part.blob))]
                except _LOST as error:
                    self.notes.append(f"slide {number}: its comments could not be read ({error})")
        return "\n".join(lines)

    def _whole(self, shape: Any, number: int) -> list[str]:
        """Return the lines of a shape; one that cannot be read costs itself only."""
        try:
            return list(self._shape(shape, number))
        except _LOST as error:
            self.notes.append(f"slide {number}: {getattr(shape, 'name', 'a shape')!r} could not be read ({error})")
            return []

    def _shape(self, shape: Any, number: int) -> Iterator[str]:
        from pptx.enum.shapes import MSO_SHAPE_TYPE

        kind = _kind(shape)
        if kind == MSO_SHAPE_TYPE.GROUP:
            for inner in shape.shapes:
                yield from self._whole(inner, number)
        elif shape.has_text_frame:
            yield from (" ".join(p.text.split()) for p in shape.text_frame.paragraphs if p.text.strip())
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield " | ".join(" ".join(cell.text.split()) for cell in row.cells)
        elif kind == MSO_SHAPE_TYPE.PICTURE:
            yield from self._picture(shape, number)
        else:
            yield from self._drawn(shape, number)

    def _drawn(self, shape: Any, number: int) -> Iterator[str]:
        if getattr(shape, "has_chart", False):
            yield from chart_lines(parse_xml(shape.chart.part.blob))
        elif (model := _diagram(shape)) is not None:
            yield from diagram_lines(parse_xml(model))
        elif (kind := getattr(_kind(shape), "name", None)) in _UNREAD or local(shape.element) == "graphicFrame":
            why = _UNREAD.get(kind, _UNREAD[None])
            self.notes.append(f"slide {number}: {shape.name!r} was not read; {why}")

    def _picture(self, shape: Any, number: int) -> Iterator[str]:
        try:
            yield from self._pictures.words(lambda: shape.image.blob)
        except (Unreadable, KeyError, ValueError, AttributeError) as error:
            self.notes.append(f"slide {number}: a picture could not be read ({getattr(error, 'reason', error)})")


def _kind(shape: Any) -> Any:
    """Return what kind of shape it is; None where python-pptx knows none, as of one without a geometry."""
    try:
        return shape.shape_type
    except NotImplementedError:
        return None


def _diagram(shape: Any) -> bytes | None:
    """Return the model of a diagram (SmartArt), as python-pptx knows none; None where the shape is no diagram."""
    names = [element for element in shape.element.iter() if local(element) == "relIds"]
    model = value(names[0], "dm") if names else None
    return None if model is None else bytes(shape.part.related_part(model).blob)


def _comments(root: Any) -> Iterator[str]:
    """Yield what comments say, in the form of old and of new programs."""
    for comment in root:
        said = paragraphs(comment) or ["".join(t.text or "" for t in comment.iter() if local(t) == "text")]
        if words := " ".join(" ".join(said).split()):
            yield words

"""What is filled into the forms of a PDF's page, and what is noted on it."""

import ctypes
from typing import TYPE_CHECKING, Any

from retrieval.reading.pdf.objects import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_ANNOTATIONS = {1: "Note", 3: "Text", 9: "Highlighted", 20: "Field"}  # PDFium's FPDF_ANNOT_...
_WIDGET = 20
_FLAG_HIDDEN = 2


def annotations(pdf: "PdfDocument", page: "PdfPage") -> list[tuple[str, Box]]:
    """Return what is filled in and noted on a page, a line each with its box in points, in the file's order."""
    from pypdfium2.raw import (
        FS_RECTF,
        FPDFAnnot_GetFlags,
        FPDFAnnot_GetRect,
        FPDFAnnot_GetSubtype,
        FPDFPage_CloseAnnot,
        FPDFPage_GetAnnot,
        FPDFPage_GetAnnotCount,
    )

    lines = []
    for n in range(FPDFPage_GetAnnotCount(page)):
        annotation = FPDFPage_GetAnnot(page, n)
        if not annotation:
            continue
        try:
            kind = FPDFAnnot_GetSubtype(annotation)
            if FPDFAnnot_GetFlags(annotation) & _FLAG_HIDDEN:
                continue
            line = _field(pdf, annotation) if kind == _WIDGET else _string(annotation, "Contents")
            if line:
                rect = FS_RECTF()
                FPDFAnnot_GetRect(annotation, ctypes.byref(rect))
                box = (rect.left, rect.bottom, rect.right, rect.top)
                lines.append((line if kind == _WIDGET else f"{_ANNOTATIONS.get(kind, 'Note')}: {line}", box))
        finally:
            FPDFPage_CloseAnnot(annotation)
    return lines


def _field(pdf: "PdfDocument", annotation: Any) -> str:
    from pypdfium2.raw import (
        FPDFAnnot_GetFormFieldAlternateName,
        FPDFAnnot_GetFormFieldName,
        FPDFAnnot_GetFormFieldType,
        FPDFAnnot_GetFormFieldValue,
        FPDFAnnot_IsChecked,
    )

    if pdf.formenv is None:
        name, value = _string(annotation, "T"), _string(annotation, "V")
        return f"{name}: {value}" if value else ""
    form = pdf.formenv
    name = _wide(FPDFAnnot_GetFormFieldAlternateName, form, annotation)
    name = name or _wide(FPDFAnnot_GetFormFieldName, form, annotation)
    kind = FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (2, 3):  # check box, radio button
        return f"{name}: yes" if FPDFAnnot_IsChecked(form, annotation) else ""
    value = _wide(FPDFAnnot_GetFormFieldValue, form, annotation)
    return f"{name}: {value}" if value else ""


def _string(annotation: Any, key: str) -> str:
    from pypdfium2.raw import FPDFAnnot_GetStringValue

    return _wide(FPDFAnnot_GetStringValue, annotation, key.encode())


def _wide(call: Any, *arguments: Any) -> str:
    """Call what writes UTF-16 into a buffer, once for its size."""
    from pypdfium2.raw import FPDF_WCHAR

    size = call(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    call(*arguments, ctypes.cast(buffer, ctypes.POINTER(FPDF_WCHAR)), size)
    return " ".join(buffer.raw.decode("utf-16-le", "ignore").rstrip("\0").split())

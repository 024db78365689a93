"""Reads a file of the knowledge base as text: one safe read of its bytes, then by what they really are.

A file that cannot be read is an error with the reason, never an empty document. It splits and stores nothing.
Text, Markdown and CSV stay character for character as decoded. HTML and Word become text in which headings, lists,
table rows and preformatted parts are marked as in Markdown (`retrieval.reading.headings`).
"""

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.reading.decode import decode
from retrieval.reading.headings import find_title
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
from retrieval.records import Document, Line, MediaType

__all__ = [
    "MEDIA_TYPES",
    "Broken",
    "CannotOpen",
    "ChangedWhileRead",
    "Empty",
    "Encrypted",
    "Misnamed",
    "NotAFile",
    "NotText",
    "ReadLimits",
    "TooLarge",
    "UnknownType",
    "Unreadable",
    "read_bytes",
    "read_document",
]

MEDIA_TYPES: dict[str, MediaType] = {
    **dict.fromkeys((".txt", ".text", ".rst", ".org", ".adoc", ".tex", ".textile", ".bib"), "text"),
    **dict.fromkeys((".srt", ".vtt", ".ics", ".vcf"), "text"),
    ".log": "log",
    **dict.fromkeys((".md", ".mdx", ".markdown", ".mkd"), "markdown"),
    ".csv": "csv",
    ".tsv": "csv",
    **dict.fromkeys((".html", ".htm", ".xhtml", ".svg", ".mht", ".mhtml"), "html"),
    ".pdf": "pdf",
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), "docx"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".avif"), "image"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xlsb", ".xls", ".ods"), "spreadsheet"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), "slides"),
    **dict.fromkeys((".odt", ".ott", ".odp"), "opendocument"),
    ".epub": "book",
    **dict.fromkeys((".eml", ".msg", ".mbox"), "mail"),
    ".rtf": "rtf",
    ".ipynb": "notebook",
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys(
        (
            ".py", ".js", ".ts", ".tsx", ".jsx", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".java", ".kt", ".go",
            ".rs", ".rb", ".php", ".pl", ".lua", ".r", ".jl", ".swift", ".scala", ".sh", ".ps1", ".bat", ".sql",
            ".css", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".xml", ".cmake", ".diff", ".patch",
            ".tcl", ".dart", ".tf", ".proto", ".graphql", ".vue", ".svelte", ".gradle", ".properties", ".po",
        ),
        "code",
    ),
}  # fmt: skip
"""By the name's ending, in lower case."""

COMMON = ".txt, .md, .csv, .html, .pdf, .docx, .xlsx, .pptx, .odt, .epub, .eml, .png or .jpg"
"""What to convert another file to."""
_SAVED_AS = {
    ".doc": ".docx", ".dot": ".docx", ".wpd": ".docx", ".pages": ".docx or .pdf",
    ".ppt": ".pptx", ".pps": ".pptx", ".key": ".pptx or .pdf", ".numbers": ".xlsx",
    ".mobi": ".epub", ".azw3": ".epub", ".djvu": ".pdf", ".xps": ".pdf", ".pub": ".pdf", ".vsdx": ".pdf",
    ".one": ".pdf",
}  # fmt: skip
"""What the program of a file that is not read can save it as."""

_NAMES: dict[str, MediaType] = {
    **dict.fromkeys(("readme", "license", "licence", "copying", "authors", "changelog", "changes", "news", "todo",
                     "install", "notice", "contributing"), "text"),
    **dict.fromkeys(("makefile", "dockerfile", "gemfile", "rakefile", "justfile"), "code"),
}  # fmt: skip
"""Of files without an ending, in lower case."""

_READ_BYTES = 1 << 20
# The standard lets a PDF begin anywhere in here; only a file named .pdf is given the benefit.
_HEAD = 1_024
_SAVED_PAGE = re.compile(rb"^mime-version:", re.IGNORECASE | re.MULTILINE)
_ZIP = b"PK\x03\x04"
_ARCHIVES = ("docx", "spreadsheet", "slides", "opendocument", "book")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# An encrypted .docx is an OLE file that holds a stream of this name.
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# O_NONBLOCK: opening a pipe nobody writes to must not wait. O_BINARY exists on Windows only, the others not there.
_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)


@dataclass(frozen=True)
class ReadLimits:
    """What one file may cost."""

    bytes: int = 64 * 1024 * 1024
    """Largest file."""
    unpacked_bytes: int = 256 * 1024 * 1024
    """What a Word document may unpack to."""
    max_pages: int = 5_000
    """Pages of a PDF after this one are a note."""
    max_ocr_pages: int = 300
    """Scanned pages of a PDF after this many are a note: each takes seconds."""
    max_pixels: int = 50_000_000
    """Largest picture, known from its header before anything is decoded."""


_DEFAULT_LIMITS = ReadLimits()


def type_of(path: Path) -> MediaType | None:
    """Return what a file's name says it is; None where nothing of that name is read."""
    return MEDIA_TYPES.get(path.suffix.lower()) if path.suffix else _NAMES.get(path.name.lower())


def saved_as(suffix: str) -> str:
    """Return what a file of a type that is not read can be converted to."""
    return _SAVED_AS.get(suffix, f"one of {COMMON}")


def read_bytes(path: Path, *, limits: ReadLimits = _DEFAULT_LIMITS) -> bytes:
    """Read a regular file once, whole, through one descriptor.

    Raises:
        CannotOpen: It is gone or may not be read.
        NotAFile: It is a pipe, a device, a socket or a folder.
        TooLarge: It has more than `limits.bytes`.
        ChangedWhileRead: It was written meanwhile.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError) as error:
        raise CannotOpen(getattr(error, "strerror", None) or str(error)) from None
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise NotAFile
        if before.st_size > limits.bytes:
            raise TooLarge("its size in bytes", before.st_size, limits.bytes)
        data = bytearray()
        # One byte more than expected shows a file that grows; a file that keeps growing must not keep us.
        while len(data) <= before.st_size and (block := os.read(descriptor, _READ_BYTES)):
            data += block
        after = os.fstat(descriptor)
    except OSError as error:
        raise CannotOpen(error.strerror or str(error)) from None
    finally:
        os.close(descriptor)
    if len(data) != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ChangedWhileRead
    return bytes(data)


def read_document(path: Path, data: bytes | None = None, *, limits: ReadLimits = _DEFAULT_LIMITS) -> Document:
    """Read a file as text.

    Args:
        path: Its ending says what it should be; the content may say otherwise, which becomes a note.
        data: Its bytes, if the caller has read them; the file is not opened then.
        limits: What it may cost.

    Returns:
        A document with words; only a picture may have none, with a note, for its name and caption can be found.

    Raises:
        Unreadable: One child of it for each reason.
    """
    suffix = path.suffix.lower()
    named = type_of(path)
    if named is None:
        raise UnknownType(suffix or path.name, saved_as(suffix))
    if data is None:
        data = read_bytes(path, limits=limits)
    if not data:
        raise Empty("the file has no bytes")
    if len(data) > limits.bytes:
        raise TooLarge("its size in bytes", len(data), limits.bytes)
    actual = _media_type(data, suffix, named)
    document = _read(data, actual, limits)
    if actual == named:
        return document
    return replace(document, notes=(*document.notes, f"named {suffix!r} but read as {actual}, which it is"))


def _media_type(data: bytes, suffix: str, named: MediaType) -> MediaType:
    """Return what the content is, by the marks that binary formats begin with."""
    if data.startswith(b"%PDF-") or (named == "pdf" and b"%PDF-" in data[:_HEAD]):
        return "pdf"
    if _is_picture(data):
        return "image"
    if data.startswith(_ZIP):
        from retrieval.reading.formats.docx import is_docx

        # A damaged archive under the right name is damaged, not misnamed.
        if named in _ARCHIVES:
            return named
        if is_docx(data):
            return "docx"
        raise Misnamed(suffix, "a zip archive")
    if data.startswith(_OLE):
        if named == "mail":  # what is attached may be encrypted, and is noted then
            return named
        if _OLE_ENCRYPTED in data:
            raise Encrypted
        if named == "spreadsheet":
            return named
        raise Misnamed(suffix, "an Office file of before 2007")
    return named


def _is_picture(data: bytes) -> bool:
    # "BM" alone also begins texts; a bitmap has four zeros after its size.
    return (
        data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or data.startswith((b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a"))
        or (data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc"))
        or (data[:2] == b"BM" and data[6:10] == b"\0\0\0\0")
    )


def _read(data: bytes, media_type: MediaType, limits: ReadLimits) -> Document:
    if media_type == "pdf":
        from retrieval.reading.pdf.document import read_pdf

        return read_pdf(
            data, max_pages=limits.max_pages, max_ocr_pages=limits.max_ocr_pages, max_pixels=limits.max_pixels
        )
    if media_type == "docx":
        from retrieval.reading.formats.docx import read_docx

        return read_docx(data, max_unpacked_bytes=limits.unpacked_bytes)
    if media_type == "html":
        from retrieval.reading.formats.html import read_html

        if _SAVED_PAGE.search(data[:_HEAD]):
            from retrieval.reading.formats.mail import read_saved_page

            return read_saved_page(data)
        return read_html(data)
    if media_type == "image":
        return _read_picture(data, limits)
    if media_type in _OTHERS:
        return _read_other(data, media_type, limits)
    decoded = decode(data)
    if not re.search(r"\w", decoded.text):
        raise Empty("it holds only blanks and signs")
    title = find_title(decoded.text) if media_type == "markdown" else ""
    return Document(decoded.text, media_type, codec=decoded.codec, confidence=decoded.confidence, title=title)


_OTHERS = ("spreadsheet", "slides", "opendocument", "book", "mail", "rtf", "notebook")


def _read_other(data: bytes, media_type: MediaType, limits: ReadLimits) -> Document:
    from retrieval.reading.formats import epub, mail, open_document, outlook, plain, sheets, slides

    match media_type:
        case "spreadsheet":
            return sheets.read_workbook(data, max_unpacked_bytes=limits.unpacked_bytes)
        case "slides":
            return slides.read_slides(data, max_unpacked_bytes=limits.unpacked_bytes)
        case "opendocument":
            return open_document.read_open_document(data, max_unpacked_bytes=limits.unpacked_bytes)
        case "book":
            return epub.read_epub(data, max_unpacked_bytes=limits.unpacked_bytes)
        case "mail":
            box = mail.read_mailbox if data.startswith(b"From ") else mail.read_mail
            read = outlook.read_outlook if data.startswith(_OLE) else box
            return read(data, lambda name, inner: read_document(Path(name), inner, limits=limits))
        case "rtf":
            return plain.read_rtf(data)
        case _:
            return plain.read_notebook(data)


def _read_picture(data: bytes, limits: ReadLimits) -> Document:
    from retrieval.reading.ocr import lines_to_text, look_at
    from retrieval.reading.ocr_places import placed
    from retrieval.reading.pictures import count_frames, open_picture

    frames = count_frames(data)
    parts: list[str] = []
    notes: list[str] = []
    lines: list[Line] = []
    for frame in range(min(frames, limits.max_ocr_pages)):
        picture = open_picture(data, max_pixels=limits.max_pixels, frame=frame)
        reading = look_at(picture)
        lines += placed(reading, picture.size, frame + 1)
        parts.append(lines_to_text(reading.lines))
        notes += reading.notes
        if reading.turned:
            notes.append(f"read turned by {reading.turned} degrees")
    if frames > limits.max_ocr_pages:
        notes.append(f"pages after the first {limits.max_ocr_pages:,} were not read")
    text = "\n\n".join(filter(None, parts))
    if not text:
        notes.insert(0, "no words could be read in the picture")
    return Document(text, "image", notes=tuple(dict.fromkeys(notes)), lines=tuple(lines))

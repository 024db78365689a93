"""Pages of documents as pictures, with the words of a citation framed; kept in a folder of bounded size.

Frames are drawn where the words were found in the file that was indexed. A file that has changed since is shown as it
is now, says so, and has no frame.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.bounded_folder import BoundedFolder
from common.home import data_home
from retrieval.tokens import document_tokens, query_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from retrieval.knowledge_base import KnowledgeBase
    from retrieval.records import Region
    from retrieval.regions.locate import Cited

MAX_FOLDER_BYTES = 128 * 2**20
MAX_PNG_BYTES = 600_000  # as base64 in a result it stays below what clients accept
SMALLEST_SIDE = 400
CHANGED = "THIS FILE HAS CHANGED SINCE IT WAS INDEXED: nothing is framed. Run: lorgnette kb sync"
FRAME, GROUND = "#d55e00", "#fff3b0"
_EARLY = 0.6  # of the longest line
_VERSION = 1
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。!?])|\n\s*\n")


class PagePictures:
    """Draws pages of one knowledge base."""

    def __init__(self, base: "KnowledgeBase", folder: "Path | None" = None) -> None:
        self._base = base
        self._files = BoundedFolder(folder or data_home() / "pages", MAX_FOLDER_BYTES)

    def of_page(self, source: str, page: int, framed: "Sequence[Region]" = ()) -> bytes:
        """Return a page as PNG, with these places of it on a light ground and framed.

        Raises:
            PageMissing: It cannot be shown.
        """
        return self._drawn(source, page, framed, framed)

    def of_cited(self, cited: "Cited", words: str = "") -> bytes:
        """Return the page of a citation as PNG, its words on a light ground and framed.

        Args:
            cited: A hit, a citation's passage, an occurrence.
            words: The question or the answer: where it is given, only the sentence that shares most with it is framed.

        Raises:
            PageMissing: The document has no pages, or its page cannot be shown.
        """
        regions = self._base.locate(cited).regions
        page = regions[0].page if regions else cited.page or 1
        focus = self._base.locate(best_sentence(cited, words)).regions if words and regions else ()
        on_page = [region for region in regions if region.page == page]
        framed = [region for region in focus if region.page == page] or on_page
        return self._drawn(cited.source, page, on_page, framed)

    def keep(self, png: bytes) -> "Path":
        """Write a picture for a viewer and return its file.

        Raises:
            OSError: The folder cannot be written.
        """
        return self._files.keep(f"{hashlib.sha256(png).hexdigest()[:32]}.png", png)

    def _drawn(self, source: str, page: int, ground: "Sequence[Region]", framed: "Sequence[Region]") -> bytes:
        row = self._base.catalogue.file(source)
        what = (_VERSION, source, page, row and (row.sha256, row.mtime_ns), ground, framed, _state(self._base, source))
        name = f"{hashlib.sha256(repr(what).encode('utf-8', 'backslashreplace')).hexdigest()[:32]}.png"
        if (kept := self._files.read(name)) is not None:
            return kept
        image, changed = self._base.page_picture(source, page)
        png = _png(_marked(image, () if changed else ground, () if changed else framed), changed)
        try:
            self._files.keep(name, png)
        except OSError:
            return png
        return png


def best_sentence(cited: "Cited", words: str) -> "Cited":
    """Narrow a citation to the sentence that shares most words with `words`; all of it if none does.

    Of equals one with a full stop: a heading names what a sentence says.
    """
    from retrieval.regions.locate import Placement

    asked = set(query_tokens(words)) | set(re.findall(r"\d+", words))
    ends = [(match.start(), match.end()) for match in _SENTENCE_END.finditer(cited.text)]
    ends = sorted({*ends, *_after_headings(cited.text)})
    starts = [0, *(end for _, end in ends)]
    best, most = None, 0.0
    for start, end in zip(starts, [*(start for start, _ in ends), len(cited.text)], strict=True):
        tokens = set(document_tokens(cited.text[start:end])) | set(re.findall(r"\d+", cited.text[start:end]))
        held, said = len(asked & tokens), cited.text[start:end].rstrip()[-1:] in ".!?。！？"
        shared = held + (0.1 * said + 0.001 * held / (len(tokens) or 1) if held else 0.0)
        if shared > most:
            best, most = (start, end), shared
    if best is None:
        return cited
    start, end = best
    return Placement(
        cited.source, cited.page, cited.start + start, cited.start + end, cited.text[start:end], cited.headings
    )


def _after_headings(text: str) -> list[tuple[int, int]]:
    """Return the line breaks behind lines that end early, without a full stop, before one that begins anew."""
    longest = max(map(len, text.split("\n")))
    found, at = [], 0
    for line in text.split("\n")[:-1]:
        at += len(line)
        begins_anew = not text[at + 1 : at + 2].islower()
        if len(line) < _EARLY * longest and begins_anew and line.rstrip()[-1:] not in ",;-":
            found.append((at, at + 1))
        at += 1
    return found


def _state(base: "KnowledgeBase", source: str) -> tuple[int, int] | None:
    """Return what tells one state of a file from another."""
    try:
        status = (base.folder / source).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _marked(image: "Image.Image", ground: "Sequence[Region]", framed: "Sequence[Region]") -> "Image.Image":
    from PIL import Image, ImageChops, ImageDraw

    drawn = image.convert("RGB").copy()
    for region in ground:
        box = _pixels(region, drawn.size, 1)
        part = drawn.crop(box)
        drawn.paste(ImageChops.multiply(part, Image.new("RGB", part.size, GROUND)), box)
    canvas, line = ImageDraw.Draw(drawn), max(2, max(drawn.size) // 500)
    for region in framed:
        left, top, right, bottom = _pixels(region, drawn.size, line + 1)
        canvas.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=FRAME, width=line)
    return drawn


def _pixels(region: "Region", size: tuple[int, int], grown: int) -> tuple[int, int, int, int]:
    width, height = size
    left, top = int(region.x1 * width / 1_000) - grown, int(region.y1 * height / 1_000) - grown
    right, bottom = round(region.x2 * width / 1_000) + grown, round(region.y2 * height / 1_000) + grown
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))


def _png(image: "Image.Image", changed: bool) -> bytes:
    """Write the picture, smaller where it would be too large, under a line where the file has changed."""
    from PIL import Image

    while True:
        data = _bytes(_under(image) if changed else image)
        if len(data) <= MAX_PNG_BYTES or max(image.size) <= SMALLEST_SIDE:
            return data
        factor = max(0.5, 0.95 * (MAX_PNG_BYTES / len(data)) ** 0.5)
        size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        image = image.resize(size, Image.Resampling.LANCZOS)


def _under(image: "Image.Image") -> "Image.Image":
    from PIL import Image, ImageDraw, ImageFont

    height = max(24, image.width // 30)
    whole = Image.new("RGB", (max(image.width, 320), image.height + height), "white")
    whole.paste(image, (0, height))
    canvas = ImageDraw.Draw(whole)
    canvas.rectangle((0, 0, whole.width, height), fill="#b00020")
    size = height * 0.6
    while size > 6 and canvas.textlength(CHANGED, font=ImageFont.load_default(size)) > whole.width - 8:
        size -= 1
    font = ImageFont.load_default(size)
    canvas.text((4, height * 0.15), CHANGED, fill="white", font=font)
    return whole


def _bytes(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()

"""Finds where on their page the words of a citation stand, in the file as it is now. It changes no document.

Nothing is framed that was not found: where a file has changed since it was cited there is no region.
"""

import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cachetools import LRUCache

from common.safe_text import shortened
from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow
from retrieval.errors import RetrievalError
from retrieval.reading.documents import ReadLimits
from retrieval.reading.kept_figures import KeptFigures
from retrieval.reading.kept_lines import KeptLines
from retrieval.reading.ocr import look_at
from retrieval.reading.ocr_places import placed
from retrieval.reading.picture_passages import CAPTION, FIGURE, PICTURE
from retrieval.reading.pictures import count_frames, open_picture
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import Unreadable
from retrieval.records import Line, Region
from retrieval.regions.figures import drawings_on
from retrieval.regions.letters import NOT_FOUND, Found, Letter, Letters, compared, find, read_back
from retrieval.regions.named_place import name_place
from retrieval.regions.ocr_lines import letters_of
from retrieval.regions.page_view import cut_around, shows_more
from retrieval.regions.pdf_graphics import graphics_on
from retrieval.regions.pdf_pages import LONGER_SIDE, PageUnreadable, draw_page, letters_on, words_on
from retrieval.search.full_text import READ_AGAIN, full_text
from retrieval.search.verify import MOSTLY_THERE, Standing, Status, inside, is_stale

if TYPE_CHECKING:
    from PIL import Image

MOST_PAGES = 3
"""Over which a passage may go."""
KEPT_PAGES = 64
MOST_BYTES = 4 * 2**20
"""A longer text is not read again to name a place in it."""
VIEW_SIDE = 1_120
"""Pixels of the longer side of what a model is shown of a page."""
_NEARLY_ALL = 0.98
_ROUNDED = 2.0
_OCR_SIDE = 1_654
"""Pixels of the longer side of A4 at 140 dpi, at which a page is read again."""


class PageMissing(RetrievalError):
    """There is no picture of this page."""

    def __init__(self, source: str, page: int, reason: str) -> None:
        self.source, self.page, self.reason = source, page, reason
        words = f"Page {page} of {shortened(source, 120)!r} cannot be shown: {reason.rstrip('.')}"
        super().__init__(f"{words}; name another page, or read the document's text.")


class Cited(Standing, Protocol):
    """A passage and where it is to be seen; hits, verdicts' citations and the graph's passages are such."""

    @property
    def page(self) -> int | None:
        """On which it begins, where there are pages."""

    @property
    def headings(self) -> tuple[str, ...]:
        """Over it."""


@dataclass(frozen=True)
class Placement:
    """A passage that stands somewhere; the plainest `Cited`."""

    source: str
    page: int | None
    start: int
    end: int
    text: str
    headings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Located:
    """Where a passage can be seen."""

    regions: tuple[Region, ...] = ()
    """One a line; none where the document has no pages, or the words were not found on theirs."""
    place: str | None = None
    """The nearest thing that has a name."""


@dataclass(frozen=True)
class PageView:
    """What of a page is to be seen beside a passage."""

    page: int
    image: "Image.Image"
    """RGB."""
    part: Region | None
    """Which part of the page it is; None is the whole."""


class Locator:
    """Locates citations of one knowledge base; safe to use from threads."""

    def __init__(self, catalogue: Catalogue, folder: Path, recipe: Recipe, kept: KeptLines) -> None:
        self._catalogue, self._folder, self._recipe, self._kept = (
            catalogue,
            Path(os.path.realpath(folder)),
            recipe,
            kept,
        )
        self._figures = KeptFigures(catalogue.path.parent)
        self._lock = threading.Lock()
        self._pages: LRUCache[tuple[str, int], list[Letter]] = LRUCache(KEPT_PAGES)

    def locate(self, cited: Cited, sha256: str | None = None, *, may_read: bool = False) -> Located:
        """Return where a passage stands.

        Args:
            cited: The passage.
            sha256: Of the file when it was cited; None if that was the file that is indexed.
            may_read: Whether a scan may be read by OCR again, which takes seconds, where its lines were not kept.
        """
        row = self._catalogue.file(cited.source)
        if row is None or row.state != "indexed" or (sha256 or row.sha256) != row.sha256:
            return Located()
        if cited.headings[:1] == (FIGURE,):
            name = f"figure {cited.headings[-1]}"
            page = name_place(row.media_type, cited.page, 0, 0, lambda: "") if cited.page is not None else None
            found = () if is_stale(self._folder, row) else self._figure(row, cited)
            return Located(found, f"{page}, {name}" if page else name)
        place = name_place(row.media_type, cited.page, cited.start, cited.end, lambda: self._text(row))
        if row.media_type not in ("pdf", "image") or cited.headings[:1] in (PICTURE, CAPTION):
            return Located((), place)
        if is_stale(self._folder, row):
            return Located((), place)
        return Located(self._found(row, cited, may_read=may_read).regions, place)

    def check(self, cited: Cited, regions: Sequence[Region], words: Status) -> tuple[tuple[Region, ...], Status | None]:
        """Hold regions against the file as it is now, and return where they are now.

        Args:
            cited: The passage as it stands now.
            regions: As they were cited; none takes those of today, and looks whether the words stand in them.
            words: How the words stand up, which the regions cannot do better than.

        Returns:
            The regions of today, and exact, moved, changed or gone; None for what has no pages to look at.
        """
        row = self._catalogue.file(cited.source)
        path = inside(self._folder, cited.source)
        if words == "gone" or row is None or path is None:
            return (), "gone" if regions else None
        if row.media_type not in ("pdf", "image") or cited.headings[:1] in (PICTURE, CAPTION):
            return (), None
        if cited.headings[:1] == (FIGURE,):
            return self._figure(row, cited), None
        now = self._found(row, cited, may_read=True, path=path).regions
        if not now:
            return (), "gone"
        if words == "changed":
            return now, "changed"
        if regions:
            return now, "exact" if _same(now, regions) else "moved"
        letters = Letters()
        for number in sorted({region.page for region in now}):
            letters.add(self._letters(row, path, number, may_read=True))
        there, wanted = Counter(read_back(letters, now)), Counter(compared(cited.text))
        return now, "exact" if (there & wanted).total() >= _NEARLY_ALL * wanted.total() else "gone"

    def picture(self, source: str, page: int) -> tuple["Image.Image", bool]:
        """Return a picture of a page as the file has it now, and whether the file has changed since it was indexed.

        Raises:
            PageMissing: The document has no pages that can be drawn, or not this one.
        """
        row, path = self._catalogue.file(source), inside(self._folder, source)
        if row is None or row.state != "indexed" or path is None:
            raise PageMissing(source, page, "it is not indexed")
        if row.media_type not in ("pdf", "image"):
            raise PageMissing(source, page, "only pages of PDFs and pictures can be drawn")
        try:
            return self._drawn(row, path, page, LONGER_SIDE), is_stale(self._folder, row)
        except PageUnreadable as error:
            raise PageMissing(source, page, str(error)) from None
        except (Unreadable, OSError) as error:
            raise PageMissing(source, page, getattr(error, "reason", None) or str(error)) from None

    def view(self, cited: Cited, *, always: bool = False) -> PageView | None:
        """Return the part of a passage's page that shows more than its words; None where nothing does, or none can.

        Args:
            cited: The passage.
            always: Give the page whether or not it shows more.
        """
        row, path = self._catalogue.file(cited.source), inside(self._folder, cited.source)
        if row is None or path is None or row.media_type not in ("pdf", "image") or is_stale(self._folder, row):
            return None
        regions = self._found(row, cited, may_read=False).regions
        page = regions[0].page if regions else cited.page or 1
        try:
            if row.media_type == "image":
                return PageView(page, self._drawn(row, path, page, LONGER_SIDE), None)
            pictures, shapes = graphics_on(path, page)
            if not (
                always
                or cited.headings[:1] == (FIGURE,)
                or shows_more(pictures, shapes, has_words=bool(letters_on(path, page)))
                or drawings_on(path, page)
            ):
                return None
            part = cut_around([region for region in regions if region.page == page], pictures, shapes)
            return PageView(page, _cut(draw_page(path, page, longer_side=_side_for(part)), part), part)
        except (PageUnreadable, Unreadable, OSError):
            return None

    def words(self, cited: Cited) -> tuple[Line, ...]:
        """Return the words on the page of a passage, and the lines that OCR read there when it was indexed.

        None for what has no pages, and where the file has changed since: its words prove nothing of the passage.
        """
        row, path = self._catalogue.file(cited.source), inside(self._folder, cited.source)
        if row is None or path is None or row.media_type not in ("pdf", "image") or is_stale(self._folder, row):
            return ()
        number = cited.page or 1
        found: list[Line] = []
        if row.media_type == "pdf":
            try:
                found = words_on(path, number)
            except PageUnreadable:
                return ()
        return (*found, *(line for line in self._kept.of(row.sha256) or () if line.region.page == number))

    def _drawn(self, row: FileRow, path: Path, number: int, side: int) -> "Image.Image":
        if row.media_type == "pdf":
            return draw_page(path, number, longer_side=side)
        data = read_content(path, self._recipe.max_bytes).data
        if not 1 <= number <= count_frames(data):
            raise PageUnreadable("it has no such page")
        return open_picture(data, max_pixels=ReadLimits().max_pixels, frame=number - 1)

    def _found(self, row: FileRow, cited: Cited, *, may_read: bool, path: Path | None = None) -> Found:
        path = path or inside(self._folder, row.source)
        if path is None:
            return NOT_FOUND
        if cited.headings[:1] == (FIGURE,):
            return Found(self._figure(row, cited), 1.0)
        first = cited.page or 1
        letters, best = Letters(), NOT_FOUND
        for number in range(first, first + MOST_PAGES):
            more = self._letters(row, path, number, may_read=may_read)
            if not more and number > first:
                break
            letters.add(more)
            found = find(letters, cited.text, self._before(cited))
            best = max(best, found, key=lambda found: found.share)
            if best.share >= _NEARLY_ALL:
                break
        return best if best.share >= MOSTLY_THERE else NOT_FOUND

    def _figure(self, row: FileRow, cited: Cited) -> tuple[Region, ...]:
        """Return where a figure stands whose caption is cited."""
        known, number = self._figures.of(row.sha256) or (), cited.headings[-1]
        if not number.isdecimal() or not 1 <= int(number) <= len(known):
            return ()
        region = known[int(number) - 1].region
        return () if region is None else (region,)

    def _before(self, cited: Cited) -> str:
        """Return what stands before a passage on its page."""
        parts, at = [], 0
        for chunk in self._catalogue.chunks_in(cited.source):
            if chunk.start >= cited.start:
                break
            if chunk.page == cited.page:
                parts.append(chunk.text[max(0, at - chunk.start) : cited.start - chunk.start])
                at = chunk.end
        return "".join(parts)

    def _letters(self, row: FileRow, path: Path, number: int, *, may_read: bool) -> list[Letter]:
        """Return the letters of a page: its own, and those that OCR read on it."""
        version = row.sha256 if not is_stale(self._folder, row) else f"{path} {path.stat().st_mtime_ns}"
        key = (version, number)
        with self._lock:
            if key in self._pages:
                return self._pages[key]
        found: list[Letter] = []
        if row.media_type == "pdf":
            try:
                found = letters_on(path, number)
            except PageUnreadable:
                return []
        lines = self._kept.of(row.sha256) if version == row.sha256 else None
        if lines is None and may_read and not found:
            lines = self._read_again(row, path, number)
        found = [*found, *letters_of([line for line in lines or () if line.region.page == number])]
        if found:
            with self._lock:
                self._pages[key] = found
        return found

    def _read_again(self, row: FileRow, path: Path, number: int) -> tuple[Line, ...]:
        try:
            picture = self._drawn(row, path, number, _OCR_SIDE)
        except (PageUnreadable, Unreadable, OSError):
            return ()
        return tuple(placed(look_at(picture), picture.size, number))

    def _text(self, row: FileRow) -> str | None:
        if row.size > MOST_BYTES and row.media_type in READ_AGAIN:
            return None
        found = full_text(self._catalogue, self._folder, row, self._recipe)
        return None if found.stale else found.text


def _side_for(part: Region | None) -> int:
    """Return how large a page is drawn so that the part of it is about `VIEW_SIDE` long."""
    share = 1.0 if part is None else max(part.x2 - part.x1, part.y2 - part.y1) / 1_000
    return min(round(VIEW_SIDE / max(share, 0.01)), 2 * VIEW_SIDE)


def _cut(image: "Image.Image", part: Region | None) -> "Image.Image":
    if part is None:
        return image
    wide, high = image.width / 1_000, image.height / 1_000
    return image.crop((int(part.x1 * wide), int(part.y1 * high), round(part.x2 * wide), round(part.y2 * high)))


def _same(a: Sequence[Region], b: Sequence[Region]) -> bool:
    """Whether regions are the same, but for what another version of a library may round."""
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(
        abs(mine - other) <= _ROUNDED
        for one, two in pairs
        for mine, other in zip(astuple(one), astuple(two), strict=True)
    )

"""The knowledge base as a client may browse it: a list, whole documents, single passages. It does not search.

What files say goes out without control and invisible characters, and marked as data. Positions count the original.
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from common.safe_text import escaped, one_line, shortened
from lorgnette.answer_text import MAX_RESULT_BYTES
from lorgnette.documents import Documents
from lorgnette.page_pictures import PagePictures
from lorgnette.untrusted_text import QUOTED, cleaned, quoted
from mcp_server.errors import NothingHere
from mcp_server.uris import DOCUMENTS, document_name, document_uri, passage_name, passage_uri
from retrieval.records import Region
from retrieval.regions.letters import MOST_REGIONS
from retrieval.regions.locate import Placement

if TYPE_CHECKING:
    from retrieval.catalogue.rows import FileRow
    from retrieval.knowledge_base import KnowledgeBase

_THOUSANDTHS = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6})?")
ROOM = 20_000  # bytes for what stands around a list or a text
NO_FOLDER = "there is no knowledge base: the folder {!r} is missing; name the folder of your documents with --kb DIR"


class DocumentMissing(NothingHere):
    """No indexed file has this path or hash."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"No document {_short(name)} is indexed; {DOCUMENTS} lists what there is.")


class PassageMissing(NothingHere):
    """No passage has this id, or not any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no passage {_short(name)}; its file may have changed, search again.")


class StartInvalid(NothingHere):
    """Not a position."""

    def __init__(self, start: str) -> None:
        self.start = start
        super().__init__(f"{_short(start)} is no position; give start as a number from 0.")


class FrameInvalid(NothingHere):
    """No places on a page."""

    def __init__(self, frame: str) -> None:
        self.frame = frame
        super().__init__(
            f"{_short(frame)} names no places; give frame as x1,y1,x2,y2 in thousandths of the page, at most "
            f"{MOST_REGIONS} such fours one behind the other."
        )


class StartBeyondEnd(NothingHere):
    """Nothing stands so far behind."""

    def __init__(self, start: int, length: int) -> None:
        self.start, self.length = start, length
        super().__init__(f"Nothing begins at {start}, it ends at {length}; give a smaller start.")


class DocumentResource:
    """The documents under the addresses `kb://`; every method reads the disk, and may be called from any thread."""

    def __init__(self, documents: Documents, max_bytes: int = MAX_RESULT_BYTES) -> None:
        self._documents, self._max_bytes = documents, max_bytes

    def listing(self, start: int = 0) -> dict[str, Any]:
        """List what is indexed, and behind that what is not and why; cut where it is too long."""
        base = self._documents.open()
        if base is None:
            missing = NO_FOLDER.format(str(self._documents.settings.kb))
            return {
                "untrusted": True, "generation": 0, "files": 0, "documents": [], "skipped": [], "note": missing,
            }  # fmt: skip
        catalogue = base.catalogue
        indexed, skipped = catalogue.files(), catalogue.skipped()
        total = len(indexed) + len(skipped)
        if start and start >= total:
            raise StartBeyondEnd(start, total)
        counts = catalogue.chunk_counts()
        documents, left_out = list[dict[str, Any]](), list[dict[str, Any]]()
        left, number = self._max_bytes - ROOM, start
        for number in range(start, total):
            row = indexed[number] if number < len(indexed) else skipped[number - len(indexed)]
            item = _indexed(row, counts.get(row.source, 0)) if number < len(indexed) else _skipped(row)
            left -= len(json.dumps(item, ensure_ascii=False, indent=2).encode()) + 20
            if left < 0:
                break
            (documents if number < len(indexed) else left_out).append(item)
        else:
            number = total
        note = f"{total - number} more: {DOCUMENTS}?start={number}" if number < total else None
        return {
            "untrusted": True,
            "generation": catalogue.generation,
            "files": total,
            "documents": documents,
            "skipped": left_out,
            "note": note,
        }

    def text(self, name: str, start: int = 0) -> str:
        """Return a document's text, each line marked, under a few lines that say what it is.

        Raises:
            DocumentMissing: None is indexed under this path or hash.
            StartBeyondEnd: It is shorter.
        """
        base, row = self._row(name)
        whole = base.full_text(row)
        if start and start >= len(whole.text):
            raise StartBeyondEnd(start, len(whole.text))
        end = self._end(whole.text, start)
        uri = document_uri(row.source, row.sha256)
        head = [f"{escaped(row.source)}, characters {start} to {end} of {len(whole.text)}, sha256 {row.sha256}"]
        if whole.stale:
            head.append("STALE: the file has changed or gone since it was indexed; this is what was indexed.")
        if not whole.complete:
            head.append("Put together from its indexed passages; blanks stand where there is none.")
        head += [f"Note: {one_line(note)}" for note in row.notes]
        if end < len(whole.text):
            head.append(f"Cut: it goes on at {uri}?start={end}")
        return "\n".join([*head, QUOTED, "", quoted(whole.text[start:end])])

    def passage(self, name: str) -> dict[str, Any]:
        """Return a passage with all places where it stands, and its neighbours.

        Raises:
            PassageMissing: There is none of this id.
        """
        base = self._documents.open()
        found = base.catalogue.chunk(name) if base is not None and _is_unicode(name) else None
        if base is None or found is None:
            raise PassageMissing(name)
        places = []
        for place in found.occurrences[:20]:
            chunks = base.catalogue.chunks_in(place.source)
            before = chunks[place.ordinal - 1].id if 0 < place.ordinal <= len(chunks) else None
            after = chunks[place.ordinal + 1].id if place.ordinal + 1 < len(chunks) else None
            places.append(
                {
                    "source": escaped(place.source),
                    "document": document_uri(place.source, place.sha256),
                    "sha256": place.sha256,
                    "page": place.page,
                    "start": place.start,
                    "end": place.end,
                    "indexed_at": place.indexed_at,
                    "before": before and passage_uri(before),
                    "after": after and passage_uri(after),
                }
            )
        text = {"id": found.id, "untrusted": True, "headings": list(found.headings), "text": found.occurrences[0].text}
        return {**cleaned(text), "places": places, "more_places": max(0, len(found.occurrences) - 20)}

    def page(self, name: str, number: str, frame: str = "") -> bytes:
        """Return a page of a document as PNG.

        Args:
            name: Its path or hash.
            number: Of the page, from 1.
            frame: Places in thousandths of the page, as `x1,y1,x2,y2,x1,y1,x2,y2`; framed where the file has not
                changed since it was indexed.

        Raises:
            DocumentMissing: None is indexed under this path or hash.
            StartInvalid: The number is none.
            FrameInvalid: The places are none.
            PageMissing: It has no such page, or none that can be drawn.
        """
        base, row = self._row(name)
        page = position(number)
        return PagePictures(base).of_page(row.source, page, _regions(frame, page))

    def passage_page(self, name: str) -> bytes:
        """Return the page on which a passage stands as PNG, its words framed.

        Raises:
            PassageMissing: There is none of this id.
            PageMissing: Its document has no pages that can be drawn.
        """
        base = self._documents.open()
        found = base.catalogue.chunk(name) if base is not None and _is_unicode(name) else None
        if base is None or found is None:
            raise PassageMissing(name)
        place = found.occurrences[0]
        cited = Placement(place.source, place.page, place.start, place.end, place.text, found.headings)
        return PagePictures(base).of_cited(cited)

    def names(self, prefix: str, limit: int) -> list[str]:
        """Return indexed paths that begin so, or whose file's name does."""
        wanted = prefix.casefold()
        base = self._documents.open()
        known = sorted(base.catalogue.known().items()) if base is not None else []
        found = [
            source
            for source, row in known
            if row.state == "indexed"
            and (source.casefold().startswith(wanted) or source.rpartition("/")[2].casefold().startswith(wanted))
            and source.isprintable()
        ]
        return found[:limit]

    def passage_ids(self, prefix: str, limit: int) -> list[str]:
        """Return ids of passages that begin so."""
        base = self._documents.open()
        return base.catalogue.chunk_ids(prefix, limit) if base is not None else []

    def first(self, limit: int) -> "Sequence[FileRow]":
        """Return the first documents by path."""
        base = self._documents.open()
        return base.catalogue.files()[:limit] if base is not None else []

    def stamp(self, uri: str) -> str | None:
        """Return what is another one when what stands under a kb:// address has changed; none where nothing does."""
        base = self._documents.open()
        if base is None:
            return None
        if (passage := passage_name(uri)) is not None:
            chunk = base.catalogue.chunk(passage) if _is_unicode(passage) else None
            return None if chunk is None else str([(place.source, place.start) for place in chunk.occurrences])
        if (document := document_name(uri)) is not None:
            try:
                row = self._row(document)[1]
            except DocumentMissing:
                return None
            return f"{row.sha256} {row.recipe} {base.catalogue.caption(row.sha256)}"
        return str(base.catalogue.generation)

    def _row(self, name: str) -> "tuple[KnowledgeBase, FileRow]":
        base = self._documents.open()
        if base is None or not _is_unicode(name):
            raise DocumentMissing(name)
        row = base.catalogue.file(name)
        if row is None and len(name) == 64:
            row = next(iter(base.catalogue.with_sha256(name)), None)
        if row is None or row.state != "indexed":
            raise DocumentMissing(name)
        return base, row

    def _end(self, text: str, start: int) -> int:
        """Return where a part that begins at `start` must end to be sent, at a line's end if one is near."""
        room = self._max_bytes - ROOM
        if _size(text[start:]) <= room:
            return len(text)
        low, high = start, min(len(text), start + room)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _size(text[start:middle]) <= room else (low, middle)
        line = text.rfind("\n", start, low) + 1
        return line if line > start + (low - start) // 2 else max(low, start + 1)


def position(start: str) -> int:
    """Read the `start` of an address.

    Raises:
        StartInvalid: It is no number, or none that a text could have.
    """
    if not re.fullmatch("[0-9]{1,12}", start):
        raise StartInvalid(start)
    return int(start)


def _regions(frame: str, page: int) -> list[Region]:
    """Read the places of an address."""
    parts = frame.split(",") if frame else []
    if len(parts) % 4 or len(parts) > 4 * MOST_REGIONS or not all(map(_THOUSANDTHS.fullmatch, parts)):
        raise FrameInvalid(frame)
    fours = zip(*[map(float, parts)] * 4, strict=True)
    return [Region(page, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)) for x1, y1, x2, y2 in fours]


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _size(text: str) -> int:
    """Bytes of the text on the wire, marked."""
    return len(json.dumps(quoted(text), ensure_ascii=False).encode("utf-8", "replace"))


def _indexed(row: "FileRow", chunks: int) -> dict[str, Any]:
    uri = document_uri(row.source, row.sha256)
    item = {"uri": uri, "source": escaped(row.source), "sha256": row.sha256, "kind": row.media_type, "chunks": chunks}
    item |= {"title": one_line(row.title)} if row.title else {}
    return item | ({"notes": [one_line(note) for note in row.notes]} if row.notes else {})


def _skipped(row: "FileRow") -> dict[str, Any]:
    return {"source": escaped(row.source), "reason": one_line(row.reason)}


def _short(name: str) -> str:
    return repr(shortened(name, 120))

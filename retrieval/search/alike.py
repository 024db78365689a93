"""Pictures of the documents, and figures inside them, that look like a picture, by the vectors of a model of pictures.

Vectors are made when they are first wanted, within a time, and kept (`kept_looks`). It compares all of them.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow
from retrieval.reading.documents import ReadLimits
from retrieval.reading.kept_figures import Figure
from retrieval.reading.picture_passages import FIGURE
from retrieval.reading.pictures import open_picture
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import Unreadable
from retrieval.records import Chunk, Filter, Hit, MediaType
from retrieval.search.kept_looks import Looks, looks_file, read_looks, write_looks
from retrieval.search.verify import inside, is_stale
from retrieval.source_filter import source_matches
from retrieval.sync.figure_captions import WITH_FIGURES
from retrieval.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

FindFigures = Callable[[bytes, MediaType], Iterable[Figure]]
BUDGET_S = 20.0
"""For making vectors in one search."""
NOT_ALL = "image: {count} pictures and documents were not compared yet; search again for the rest"


class EmbedsPictures(Protocol):
    """What makes the vectors (`retrieval.embedders.pictures`)."""

    @property
    def fingerprint(self) -> str:
        """Of the model."""

    def embed(self, pictures: "Sequence[Image.Image]") -> Vectors:
        """Return unit vectors, (N, D)."""


def look_alikes(
    catalogue: Catalogue,
    folder: Path,
    embedder: EmbedsPictures,
    image: "Image.Image",
    top_k: int,
    wanted: Filter | None = None,
    find: FindFigures | None = None,
    budget_s: float = BUDGET_S,
) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
    """Return what of the documents looks most like a picture, best first, and what was not compared.

    Each is a passage, `weak`, with the cosine as its score: how alike is alike enough, no threshold says for all
    models. A picture is its caption or its name; a figure is its caption, or where it has none yet the first passage
    of its page, or of its document.

    Args:
        catalogue: Of the documents.
        folder: Where they are.
        embedder: The model of pictures.
        image: RGB.
        top_k: Most that are returned.
        wanted: Which documents.
        find: Gives the figures inside a document; None compares pictures alone.
        budget_s: Seconds for making vectors.
    """
    kinds: tuple[MediaType, ...] = ("image",) if find is None else ("image", *WITH_FIGURES)
    rows = [row for row in catalogue.files() if row.state == "indexed" and row.media_type in kinds]
    if wanted is not None and wanted.source is not None:
        rows = [row for row in rows if source_matches(wanted.source, row.source)]
    rows.sort(key=lambda row: kinds.index(row.media_type))  # pictures take least time
    looks, missing = _looks(catalogue, folder, embedder, rows, find, budget_s)
    notes = (NOT_ALL.format(count=f"{missing:,}"),) if missing else ()
    compared = [(row, n) for row in rows if row.sha256 in looks for n in range(len(looks[row.sha256].pages))]
    if not compared:
        return (), notes
    vectors = np.stack([looks[row.sha256].vectors[n] for row, n in compared])  # (N, D)
    scores = vectors @ embedder.embed([image])[0]  # (N,)
    found: dict[tuple[str, int], Hit] = {}
    for place in sorted(range(len(compared)), key=lambda at: (-scores[at], compared[at][0].source, compared[at][1])):
        row, n = compared[place]
        chunk = _passage(catalogue, row, n, looks[row.sha256].pages[n])
        if chunk is not None and (row.source, chunk.start) not in found:
            found[row.source, chunk.start] = _hit(folder, row, chunk, float(scores[place]))
        if len(found) == top_k:
            break
    return tuple(found.values()), notes


def _looks(
    catalogue: Catalogue,
    folder: Path,
    embedder: EmbedsPictures,
    rows: list[FileRow],
    find: FindFigures | None,
    budget_s: float,
) -> tuple[dict[str, Looks], int]:
    """Return the vectors by the documents' bytes, and of how many documents there are not all yet."""
    path = looks_file(catalogue.path.parent, embedder.fingerprint)
    found = read_looks(path)
    deadline, missing, changed = time.monotonic() + budget_s, 0, False
    for row in rows:
        known = found.get(row.sha256)
        if known is not None and known.whole:
            continue
        if time.monotonic() < deadline:
            looked = _looked_at(folder, row, embedder, find, known, deadline)
            if looked is not None:
                found[row.sha256], known, changed = looked, looked, True
        missing += known is None or not known.whole
    if changed and not catalogue.read_only:
        kept = {row.sha256 for row in catalogue.files()}
        write_looks(path, {sha: one for sha, one in found.items() if sha in kept})
    return found, missing


def _looked_at(
    folder: Path,
    row: FileRow,
    embedder: EmbedsPictures,
    find: FindFigures | None,
    known: Looks | None,
    deadline: float,
) -> Looks | None:
    """Go on with a document where it was left, until its end or the deadline; None where it is not as indexed."""
    content = _content(folder, row)
    if content is None:
        return None
    vectors = [] if known is None else list(known.vectors)
    pages = [] if known is None else list(known.pages)
    whole = True
    for page, image in islice(_pictures(content, row, find), len(vectors), None):
        if time.monotonic() >= deadline and len(vectors) > (0 if known is None else len(known.vectors)):
            whole = False
            break
        vectors.append(embedder.embed([image])[0])
        pages.append(page or 0)
    return Looks(np.stack(vectors) if vectors else np.zeros((0, 0), np.float32), tuple(pages), whole)


def _content(folder: Path, row: FileRow) -> bytes | None:
    """Return a document's bytes; None where it is away, locked or another one by now."""
    path = inside(Path(os.path.realpath(folder)), row.source)
    try:
        content = None if path is None else read_content(path, row.size)
    except (Unreadable, OSError):
        return None
    return None if content is None or content.sha256 != row.sha256 else content.data


def _pictures(content: bytes, row: FileRow, find: FindFigures | None) -> "Iterator[tuple[int | None, Image.Image]]":
    """Give a document's pictures with their pages; none where it is a damaged one."""
    if row.media_type == "image":
        with suppress(Unreadable):
            yield None, open_picture(content, max_pixels=ReadLimits().max_pixels)
    elif find is not None and row.media_type is not None:
        yield from ((figure.page, figure.image) for figure in find(content, row.media_type))


def _passage(catalogue: Catalogue, row: FileRow, number: int, page: int) -> Chunk | None:
    chunks = catalogue.chunks_in(row.source)
    if not chunks or row.media_type == "image":
        return chunks[-1] if chunks else None  # its caption, else its name
    own = (chunk for chunk in chunks if chunk.headings == (FIGURE, str(number + 1)))
    on_page = (chunk for chunk in chunks if page and chunk.page == page)
    return next(own, None) or next(on_page, chunks[0])


def _hit(folder: Path, row: FileRow, chunk: Chunk, score: float) -> Hit:
    return Hit(
        chunk.id, row.source, chunk.page, chunk.start, chunk.end, chunk.text, chunk.headings, row.sha256,
        row.indexed_at, is_stale(folder, row), score, relevance=min(max(score, 0.0), 1.0), match="weak",
    )  # fmt: skip

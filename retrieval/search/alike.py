"""Pictures of the documents that look like a picture, by the vectors of a model of pictures.

Vectors are made when they are first wanted, within a time, and kept beside the catalogue in one file a model, which can
be deleted at any time. It compares all of them; figures inside documents are not among them.
"""

import hashlib
import io
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from common.atomic_files import write_whole
from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow
from retrieval.reading.documents import ReadLimits
from retrieval.reading.pictures import open_picture
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import Unreadable
from retrieval.records import Filter, Hit
from retrieval.search.verify import inside, is_stale
from retrieval.source_filter import source_matches
from retrieval.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

FOLDER = "looks"
BUDGET_S = 20.0
"""For making vectors in one search."""
NOT_ALL = "image: {count} pictures of the documents were not compared yet; search again for the rest"


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
    budget_s: float = BUDGET_S,
) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
    """Return the documents' pictures that look most like a picture, best first, and what was not compared.

    Each is its caption's or its name's passage, `weak`, with the cosine as its score: how alike is alike enough, no
    threshold says for all models.
    """
    rows = [row for row in catalogue.files() if row.state == "indexed" and row.media_type == "image"]
    if wanted is not None and wanted.source is not None:
        rows = [row for row in rows if source_matches(wanted.source, row.source)]
    vectors, missing = _vectors(catalogue, folder, embedder, rows, budget_s)
    compared = [row for row in rows if row.sha256 in vectors]
    notes = (NOT_ALL.format(count=f"{missing:,}"),) if missing else ()
    if not compared:
        return (), notes
    scores = np.stack([vectors[row.sha256] for row in compared]) @ embedder.embed([image])[0]  # (N,)
    best = sorted(range(len(compared)), key=lambda n: (-scores[n], compared[n].source))[:top_k]
    hits = [_hit(catalogue, folder, compared[n], float(scores[n])) for n in best]
    return tuple(hit for hit in hits if hit is not None), notes


def _vectors(
    catalogue: Catalogue, folder: Path, embedder: EmbedsPictures, rows: list[FileRow], budget_s: float
) -> tuple[dict[str, Vectors], int]:
    """Return the vectors by the pictures' bytes, and of how many there is none yet."""
    path = catalogue.path.parent / FOLDER / f"{hashlib.sha256(embedder.fingerprint.encode()).hexdigest()[:16]}.npz"
    found = _kept(path)
    before, deadline, missing = len(found), time.monotonic() + budget_s, 0
    for row in rows:
        if row.sha256 in found:
            continue
        if time.monotonic() >= deadline:
            missing += 1
            continue
        if (image := _opened(folder, row)) is not None:
            found[row.sha256] = embedder.embed([image])[0]
    if len(found) > before and not catalogue.read_only:
        known = {row.sha256 for row in catalogue.files()}
        buffer = io.BytesIO()
        np.savez(buffer, **{sha: vector for sha, vector in found.items() if sha in known})  # type: ignore[arg-type]
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, buffer.getvalue(), private=True, durable=False)
    return found, missing


def _kept(path: Path) -> dict[str, Vectors]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError):
        return {}


def _opened(folder: Path, row: FileRow) -> "Image.Image | None":
    path = inside(Path(os.path.realpath(folder)), row.source)
    if path is None:
        return None
    try:
        content = read_content(path, row.size)
        return open_picture(content.data, max_pixels=ReadLimits().max_pixels) if content.sha256 == row.sha256 else None
    except (Unreadable, OSError):
        return None


def _hit(catalogue: Catalogue, folder: Path, row: FileRow, score: float) -> Hit | None:
    chunks = catalogue.chunks_in(row.source)
    if not chunks:
        return None
    chunk = chunks[-1]  # its caption, else its name
    return Hit(
        chunk.id, row.source, chunk.page, chunk.start, chunk.end, chunk.text, chunk.headings, row.sha256,
        row.indexed_at, is_stale(folder, row), score, relevance=min(max(score, 0.0), 1.0), match="weak",
    )  # fmt: skip

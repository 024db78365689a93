"""Gives the figures inside documents their captions, kept as passages behind the document's own words.

What is described is written down after each figure, so that a long document goes on where it was stopped.
"""

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.locks import FileLock
from retrieval.reading.kept_figures import Figure, KeptFigures, KnownFigure
from retrieval.reading.picture_passages import FIGURE, with_figures
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import ChangedWhileRead, Unreadable
from retrieval.records import MediaType
from retrieval.sync.captions import (
    MAX_FAILURES,
    Captioned,
    Captioner,
    CaptionerUnavailable,
    CaptionFailed,
    said,
    vector_of,
)
from retrieval.sync.missing_vectors import Embeds

WITH_FIGURES: tuple[MediaType, ...] = ("pdf", "docx", "slides", "opendocument", "book")
FindFigures = Callable[[bytes, MediaType], Iterable[Figure]]
"""Gives the figures of a document by its bytes and type."""


def make_figure_captions(
    find: FindFigures,
    catalogue: Catalogue,
    root: Path,
    captioner: Captioner,
    recipe: Recipe,
    embedder: Callable[[], Embeds | None],
    cancel: threading.Event,
) -> Generator[Captioned]:
    """Caption the figures that `find` gives, one document after the other, each when the caller asks for it.

    Other arguments and errors are those of `retrieval.sync.captions.make_captions`. A document without figures is no
    news.
    """
    lock = FileLock(catalogue.path.with_name("captions.lock"))
    if catalogue.read_only or not lock.try_acquire():
        return
    try:
        kept = KeptFigures(catalogue.path.parent)
        pending = [one for one in catalogue.of_types(WITH_FIGURES) if _is_pending(catalogue, kept, *one[:2])]
        for done, (source, sha256, media_type) in enumerate(pending, 1):
            if cancel.is_set():
                return
            try:
                figures = _figures(find, root / source, sha256, media_type, captioner, recipe, cancel, kept)
            except CaptionerUnavailable as error:
                yield Captioned(source, done, len(pending), str(error))
                return
            except (Unreadable, OSError) as error:
                yield Captioned(source, done, len(pending), str(error))
                continue
            _store(catalogue, source, sha256, figures.known, embedder, cancel)
            if figures.found or figures.problem:
                yield Captioned(source, done, len(pending), figures.problem)
    finally:
        lock.release()


@dataclass(frozen=True)
class _Figures:
    known: list[KnownFigure]
    found: int
    """Captions that are new."""
    problem: str = ""


def _is_pending(catalogue: Catalogue, kept: KeptFigures, source: str, sha256: str) -> bool:
    """Whether nobody has looked for a document's figures, or some have no caption, or it is not in the catalogue."""
    known = kept.of(sha256)
    if known is None or any(figure.caption is None for figure in known):
        return True
    return bool(known) and not any(chunk.headings[:1] == (FIGURE,) for chunk in catalogue.chunks_in(source))


def _figures(
    find: FindFigures,
    path: Path,
    sha256: str,
    media_type: str,
    captioner: Captioner,
    recipe: Recipe,
    cancel: threading.Event,
    kept: KeptFigures,
) -> _Figures:
    """Look for a document's figures, and describe those without a caption; what was done is kept after each."""
    known = list(kept.of(sha256) or ())
    if known and all(figure.caption is not None for figure in known):
        return _Figures(known, 0)
    content = read_content(path, recipe.max_bytes)
    if content.sha256 != sha256:
        raise ChangedWhileRead
    inside = list(find(content.data, cast("MediaType", media_type)))
    if len(known) != len(inside):
        known = [KnownFigure(figure.page, figure.region) for figure in inside]
    found, failures, problem = 0, 0, ""
    for number, figure in enumerate(inside):
        if known[number].caption is not None or failures == MAX_FAILURES:
            continue
        try:
            text = said(figure.image, figure.sha256, captioner, cancel)
        except CaptionFailed as error:
            if cancel.is_set():
                break
            failures, problem = failures + 1, f"figure {number + 1}: {error}"
            continue
        # The document's own words first: what a model says of it follows, and says that it does.
        text = f"{figure.caption}\n{text}" if figure.caption else text
        known[number] = replace(known[number], caption=text)
        found, failures = found + 1, 0
        kept.keep(sha256, known)
    kept.keep(sha256, known)
    return _Figures(known, found, problem)


def _store(
    catalogue: Catalogue,
    source: str,
    sha256: str,
    known: list[KnownFigure],
    embedder: Callable[[], Embeds | None],
    cancel: threading.Event,
) -> None:
    """Add the figures' captions to the document's passages, unless a sync has read it anew meanwhile."""
    with FileLock(catalogue.path.with_name(catalogue.path.name + ".lock")):
        row, before = catalogue.file(source), catalogue.chunks_in(source)
        after = with_figures(before, known)
        if row is None or row.sha256 != sha256 or after == before:
            return
        opened, vectors = embedder(), dict[str, Matrix]()
        new = {chunk.id for chunk in after} - {chunk.id for chunk in before}
        for chunk in [one for one in after if one.id in new] if opened is not None else ():
            vectors |= vector_of(chunk, opened, cancel)
        catalogue.put_file(row, after, vectors, opened.fingerprint if opened else None)

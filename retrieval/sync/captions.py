"""Gives pictures their captions, one after the other, with whatever describes them. It does not know the models.

A caption is made once for a picture's bytes and kept in the catalogue as a passage that names who made it. A picture
without one, because it failed or was cancelled, is found by its words and name meanwhile, and tried again later.
"""

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.errors import RetrievalError
from retrieval.locks import FileLock
from retrieval.reading.documents import ReadLimits
from retrieval.reading.picture_passages import CAPTION, with_caption
from retrieval.reading.pictures import open_picture
from retrieval.reading.recipe import Recipe
from retrieval.reading.snapshot import read_content
from retrieval.reading.unreadable import ChangedWhileRead, Unreadable
from retrieval.sync.missing_vectors import Embeds, embed, text_to_embed, unread_language

if TYPE_CHECKING:
    from PIL import Image

    from retrieval.records import Chunk

MAX_CHARS = 600  # what an embedder reads of a passage at least
MAX_FAILURES = 3  # in a row; after so many it is hardly the pictures' fault


class CaptionFailed(RetrievalError):
    """This picture has no caption yet; others may get theirs."""


class CaptionerUnavailable(RetrievalError):
    """Nobody can describe pictures now."""


@dataclass(frozen=True)
class Caption:
    """What is said of a picture, and by whom."""

    text: str
    model: str


class Captioner(Protocol):
    """Describes pictures."""

    def caption(self, picture: "Image.Image", sha256: str, cancel: threading.Event) -> Caption:
        """Describe an upright RGB picture, whose file's bytes have this hash, in a sentence or two.

        Raises:
            CaptionFailed: This one cannot be described, or `cancel` was set.
            CaptionerUnavailable: None can.
        """


@dataclass(frozen=True)
class Captioned:
    """What became of one picture."""

    source: str
    done: int
    """How many were tried so far, this one included."""
    total: int
    problem: str = ""
    """Why it has no caption; empty if it has one now."""


def make_captions(
    catalogue: Catalogue,
    root: Path,
    captioner: Captioner,
    recipe: Recipe,
    embedder: Callable[[], Embeds | None],
    cancel: threading.Event,
) -> Generator[Captioned]:
    """Caption the pictures that have none, each when the caller asks for it.

    Of several processes only one does this at a time; the others find nothing to do.

    Args:
        catalogue: What is known of the pictures, and where captions are kept.
        root: The folder's real path.
        captioner: Who describes them.
        recipe: How large a file may be.
        embedder: Gives who makes the captions' vectors; asked when there is a caption.
        cancel: Set it to stop; a caption that is being made is then given up.

    Raises:
        CatalogueError: The catalogue cannot be written; the captions made so far are in it.
    """
    if catalogue.read_only:
        return
    lock = FileLock(catalogue.path.with_name("captions.lock"))
    if not lock.try_acquire():
        return
    try:
        pending = catalogue.uncaptioned()
        failures = 0
        for done, (source, sha256) in enumerate(pending, 1):
            if cancel.is_set() or failures == MAX_FAILURES:
                return
            try:
                # Its copy may just have been given one.
                text = catalogue.caption(sha256) or _describe(root / source, sha256, captioner, recipe, cancel)
            except CaptionerUnavailable as error:
                yield Captioned(source, done, len(pending), str(error))
                return
            except (CaptionFailed, Unreadable, FileNotFoundError) as error:
                if not cancel.is_set():
                    failures += isinstance(error, CaptionFailed)
                    yield Captioned(source, done, len(pending), str(error))
                continue
            failures = 0
            _store(catalogue, source, sha256, text, embedder(), cancel)
            yield Captioned(source, done, len(pending))
    finally:
        lock.release()


def _describe(path: Path, sha256: str, captioner: Captioner, recipe: Recipe, cancel: threading.Event) -> str:
    content = read_content(path, recipe.max_bytes)
    if content.sha256 != sha256:
        raise ChangedWhileRead
    return said(open_picture(content.data, max_pixels=ReadLimits().max_pixels), sha256, captioner, cancel)


def said(picture: "Image.Image", sha256: str, captioner: Captioner, cancel: threading.Event) -> str:
    """Return a picture's caption as it is kept, with the name of who made it.

    Raises:
        CaptionFailed: There is none.
        CaptionerUnavailable: There can be none for any.
    """
    caption = captioner.caption(picture, sha256, cancel)
    if cancel.is_set():
        raise CaptionFailed("it was cancelled, and may have been left half said; sync again")
    text = _plain(caption.text)
    if not any(c.isalnum() for c in text):
        raise CaptionFailed(f"{caption.model!r} said nothing of it; sync again, or set captions to off")
    return f"Caption by {_plain(caption.model)}: {text[:MAX_CHARS]}".rstrip()


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _store(
    catalogue: Catalogue, source: str, sha256: str, text: str, embedder: Embeds | None, cancel: threading.Event
) -> None:
    """Add the caption to the file's passages, unless another sync was faster with something else."""
    with FileLock(catalogue.path.with_name(catalogue.path.name + ".lock")):
        row, chunks = catalogue.file(source), catalogue.chunks_in(source)
        if row is None or row.sha256 != sha256 or any(chunk.headings == CAPTION for chunk in chunks):
            return
        *before, caption = with_caption(chunks, text)
        vectors = vector_of(caption, embedder, cancel)
        catalogue.put_file(row, (*before, caption), vectors, embedder.fingerprint if embedder else None)
        unread = unread_language(embedder, caption.headings, caption.text) if embedder else None
        if embedder and unread and (stored := catalogue.chunk(caption.id)):
            catalogue.mark_unread({stored.number: unread}, embedder.fingerprint)


def vector_of(caption: "Chunk", embedder: Embeds | None, cancel: threading.Event) -> dict[str, Matrix]:
    """Embed it; where that fails it is found by its words, and the next sync tries again."""
    if embedder is None or unread_language(embedder, caption.headings, caption.text) is not None:
        return {}
    try:
        rows = embed(embedder, [text_to_embed(caption.headings, caption.text)], cancel)
    except RetrievalError:
        return {}
    return {caption.id: rows[0]} if rows else {}

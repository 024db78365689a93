"""Turns a book (EPUB) into text, chapter by chapter, and gives its pictures with what the book says of them.

Nothing outside of the archive is asked for. A part that is missing or damaged costs itself only, and is named.
"""

import io
import posixpath
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from urllib.parse import unquote, urlsplit

from retrieval.reading.formats.archive import LOST, check_archive, local, parse_part, value
from retrieval.reading.formats.html import parse_html, read_html
from retrieval.reading.formats.inner_pictures import InnerPictures
from retrieval.reading.unreadable import Empty
from retrieval.records import Document

CAPTION_CHARS = 500


@dataclass(frozen=True)
class BookPicture:
    """A picture of a book."""

    data: bytes
    caption: str
    """What stands under it, or in its place; empty where nothing does."""


def read_epub(data: bytes, *, max_unpacked_bytes: int) -> Document:
    """Read a book: its chapters in their order, and the words in its pictures.

    Raises:
        Broken: It is damaged.
        Empty: No chapter has a word.
        Encrypted: It wants a password.
        TooLarge: It would unpack to more than `max_unpacked_bytes`.
    """
    check_archive(data, max_unpacked_bytes, "book")
    notes: list[str] = []
    chapters: list[str] = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        book = _Book(archive)
        words = _words_in_pictures(archive, notes)
        for chapter in book.chapters:
            try:
                chapters.append(read_html(archive.read(chapter), partial(_words_at, words, chapter)).text)
            except Empty:
                continue
            except LOST as error:
                notes.append(f"its chapter {chapter} could not be read ({getattr(error, 'reason', error)})")
        drawings = [name for name in archive.namelist() if name.lower().endswith((".svg", ".svgz"))]
    if not chapters:
        raise Empty("no chapter has a word that could be read")
    if drawings:
        notes.append(f"drawings in it were not read (SVG, {len(drawings):,})")
    return Document("\n\n".join(chapters), "book", title=book.title, notes=tuple(notes))


def book_pictures(data: bytes, *, max_unpacked_bytes: int) -> Iterator[BookPicture]:
    """Yield a book's pictures in the order in which they are seen, each once; what is lost is left out.

    Raises:
        Unreadable: As `read_epub` does of the book as a whole.
    """
    check_archive(data, max_unpacked_bytes, "book")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        seen: set[str] = set()
        for chapter in _Book(archive).chapters:
            try:
                root = parse_html(archive.read(chapter))
                pictures = [] if root is None else list(root.iter("img", "image"))
            except LOST:
                continue
            for element in pictures:
                name = _inside(chapter, address_of(element))
                if name is None or name in seen:
                    continue
                seen.add(name)
                try:
                    yield BookPicture(archive.read(name), _caption(element))
                except LOST:
                    continue


class _Book:
    """What the package says."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        container = parse_part(archive, "META-INF/container.xml", "book")
        place = next((value(e, "full-path") for e in container.iter() if local(e) == "rootfile"), None) or ""
        package = parse_part(archive, place, "book")
        items = {value(e, "id"): value(e, "href") or "" for e in package.iter() if local(e) == "item"}
        order = [items.get(value(e, "idref"), "") for e in package.iter() if local(e) == "itemref"]
        names = set(archive.namelist())
        # Some programs write the addresses of parts as they are, and some with percent signs.
        plain = [posixpath.normpath(posixpath.join(posixpath.dirname(place), one)) for one in filter(None, order)]
        # Each once: a spine may name one chapter any number of times.
        self.chapters = list(dict.fromkeys(one if one in names else unquote(one) for one in plain))
        self.title = " ".join(next((e.text or "" for e in package.iter() if local(e) == "title"), "").split())


def address_of(element: Any) -> str:
    """Return the address of a picture; drawings name it otherwise."""
    found = element.get("src") or element.get("xlink:href") or element.get("href")
    return found if isinstance(found, str) else ""


def _inside(chapter: str, address: str) -> str | None:
    """Return the part that a chapter's picture is in; None where it is in none, or is a drawing."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return None
    name = unquote(parts.path)
    if parts.scheme or parts.netloc or not name or name.lower().endswith((".svg", ".svgz")):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(chapter), name))


def _caption(element: Any) -> str:
    """Return what stands under a picture, or in its place."""
    figure = next(element.iterancestors("figure"), None)
    captions = [] if figure is None else list(figure.iter("figcaption"))
    texts = (*("".join(one.itertext()) for one in captions), element.get("alt") or "", element.get("title") or "")
    return next((words[:CAPTION_CHARS] for text in texts if (words := " ".join(text.split()))), "")


def _words_in_pictures(archive: zipfile.ZipFile, notes: list[str]) -> Callable[[str], list[str]]:
    """Return what reads the words of a picture by its name in the archive, each picture once."""
    inner, names = InnerPictures(notes, "in it were not read"), set(archive.namelist())

    @cache
    def words(name: str) -> list[str]:
        if name not in names:
            notes.append(f"its picture {name} is missing")
            return []
        try:
            return inner.words(lambda: archive.read(name))
        except LOST as error:
            notes.append(f"its picture {name} could not be read ({getattr(error, 'reason', error)})")
            return []

    return words


def _words_at(words: Callable[[str], list[str]], chapter: str, element: Any) -> list[str]:
    name = _inside(chapter, address_of(element))
    return [] if name is None else words(name)

"""What zip archives of XML have in common: they are judged by their directory before they are unpacked."""

import io
import zipfile
import zlib
from typing import Any

from retrieval.reading.unreadable import Broken, Encrypted, TooLarge, Unreadable

_MAX_PARTS = 10_000
DAMAGE = (KeyError, ValueError, AttributeError, IndexError, TypeError, EOFError, NotImplementedError, RecursionError)
"""What parts that are not as their format says make our readers and the libraries raise."""
LOST = (Unreadable, zipfile.BadZipFile, zlib.error, *DAMAGE)
"""Where the rest of the file is read without a part: what taking that out of the archive and reading it may raise."""


def check_archive(data: bytes, max_unpacked_bytes: int, kind: str) -> None:
    """Refuse an archive by its directory.

    Raises:
        Broken: It has none.
        Encrypted: It wants a password.
        TooLarge: It has too many parts, or would unpack to more than `max_unpacked_bytes`.
    """
    # The sizes may lie, but zipfile unpacks no more than they say.
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Broken(kind, str(error)) from None
    if any(part.flag_bits & 1 for part in parts):
        raise Encrypted
    if len(parts) > _MAX_PARTS:
        raise TooLarge("the number of its parts", len(parts), _MAX_PARTS)
    size = sum(part.file_size for part in parts)
    if size > max_unpacked_bytes:
        raise TooLarge("its unpacked size in bytes", size, max_unpacked_bytes)


def parse_xml(data: bytes) -> Any:
    """Parse without entities, network or huge trees."""
    from lxml import etree

    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))


def local(element: Any) -> str:
    """Return an element's name without its namespace; comments and instructions have none."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def value(element: Any, name: str) -> str | None:
    """Return an attribute by its local name."""
    return next((text for key, text in element.attrib.items() if key.rpartition("}")[2] == name), None)


def child(element: Any, name: str) -> Any:
    """Return the first child of a local name, or None."""
    return None if element is None else next((inner for inner in element if local(inner) == name), None)


def parse_part(archive: zipfile.ZipFile, name: str, kind: str, *, needed: bool = True) -> Any:
    """Parse a part of an archive; None where it is not there and not `needed`.

    Raises:
        Broken: It is damaged, or missing.
    """
    from lxml.etree import LxmlError

    if not needed and name not in archive.namelist():
        return None
    try:
        return parse_xml(archive.read(name))
    except (LxmlError, zipfile.BadZipFile, zlib.error, *DAMAGE) as error:
        raise Broken(kind, f"its part {name!r}: {error}") from None

"""Addresses of what the server holds, and back: kb://, session:// and lorgnette://. It opens nothing."""

import re
from urllib.parse import quote, unquote

DOCUMENTS = "kb://documents"
DOCUMENTS_FROM = "kb://documents{?start}"
DOCUMENT = "kb://document/{id}{?start}"
PASSAGE = "kb://chunk/{id}"
PAGE = "kb://page/{id}/{number}{?frame}"
PASSAGE_PAGE = "kb://passage/{id}/page"
SESSION = "session://{id}"
REPORT = "session://{id}/report"
STATUS = "lorgnette://status"

_DOCUMENT = re.compile(r"kb://document/([^?]+)(?:\?.*)?")
_PASSAGE = re.compile(r"kb://chunk/([^?]+)")


def document_uri(source: str, sha256: str) -> str:
    """Return a document's address: its path, or the hash of its bytes where the path is no Unicode."""
    try:
        return f"kb://document/{quote(source, safe='')}"
    except UnicodeEncodeError:
        return f"kb://document/{sha256}"


def passage_uri(id: str) -> str:
    """Return a passage's address."""
    return f"kb://chunk/{id}"


def page_uri(id: str) -> str:
    """Return the address of the page on which a passage stands, its words framed."""
    return f"kb://passage/{id}/page"


def session_uris(session_id: str) -> tuple[str, str]:
    """Return the addresses of a session and of its report."""
    return f"session://{session_id}", f"session://{session_id}/report"


def document_name(uri: str) -> str | None:
    """Return which document an address names, if it is one of a document."""
    match = _DOCUMENT.fullmatch(uri)
    return unquote(match[1]) if match else None


def passage_name(uri: str) -> str | None:
    """Return which passage an address names, if it is one of a passage."""
    match = _PASSAGE.fullmatch(uri)
    return unquote(match[1]) if match else None

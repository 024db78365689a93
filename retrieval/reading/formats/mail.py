"""Turns a mail into text: who, to whom, when and about what, the words, and what is attached, by its own format."""

import email
import email.policy
import re
from collections.abc import Callable
from email.message import EmailMessage

from retrieval.reading.formats.html import read_html
from retrieval.reading.headings import escape, heading_line
from retrieval.reading.unreadable import Empty, Unreadable
from retrieval.records import Document

_FIELDS = ("From", "To", "Cc", "Date")
_MAX_ATTACHED = 50


def read_mail(data: bytes, read_attached: Callable[[str, bytes], Document]) -> Document:
    """Read a mail.

    Args:
        data: As it was sent (RFC 5322).
        read_attached: Reads what is attached, given its name and bytes; raises `Unreadable`.

    Raises:
        Empty: There are no words in it.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage), "the policy makes these"
    subject = _field(message, "Subject")
    lines = [heading_line(1, subject or "Mail"), ""]
    lines += [f"{name}: {text}" for name in _FIELDS if (text := _field(message, name))]
    notes: list[str] = []
    lines += ["", _body(message, notes)]
    for number, part in enumerate(message.iter_attachments()):
        if number == _MAX_ATTACHED:
            notes.append(f"what is attached after the first {_MAX_ATTACHED} files was not read")
            break
        if isinstance(part, EmailMessage):
            lines += _attached(part, read_attached, notes)
    text = "\n".join(lines).strip()
    if not re.search(r"\w", text.removeprefix("# Mail")):
        raise Empty("the mail has no words")
    return Document(text, "mail", title=subject, notes=tuple(notes))


def _field(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message[name] or "").split())
    # What a field that breaks the rules makes the standard library raise.
    except (ValueError, IndexError, AttributeError, TypeError):
        return ""


def _body(message: EmailMessage, notes: list[str]) -> str:
    try:
        body = message.get_body(("plain", "html"))
        if body is None:
            return ""
        content = body.get_content()
        if not content.strip() and (other := message.get_body(("html",))) is not None:
            body, content = other, other.get_content()  # programs that write HTML alone leave an empty plain part
        if body.get_content_subtype() == "html":
            return read_html(content.encode()).text
        return "\n".join(escape(line) for line in content.replace("\r\n", "\n").split("\n")).strip()
    except (Unreadable, LookupError, ValueError, AttributeError) as error:
        notes.append(f"its words could not be read ({getattr(error, 'reason', error)})")
        return ""


def _attached(part: EmailMessage, read_attached: Callable[[str, bytes], Document], notes: list[str]) -> list[str]:
    name = " ".join((part.get_filename() or "a file without a name").split())
    try:
        data = part.get_content() if part.get_content_type() != "message/rfc822" else part.get_content().as_bytes()
        document = read_attached(name, data.encode() if isinstance(data, str) else bytes(data))
    except (Unreadable, LookupError, ValueError, TypeError, AttributeError) as error:
        notes.append(f"the attached {name!r} was not read: {getattr(error, 'reason', error)}")
        return []
    notes += [f"{name}: {note}" for note in document.notes]
    return ["", heading_line(1, f"Attached: {name}"), "", document.text]

"""Turns a mail into text: who, to whom, when and about what, the words, and what is attached, by its own format."""

import email
import email.policy
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.message import EmailMessage
from functools import partial
from typing import Literal, NamedTuple

from retrieval.reading.formats.html import read_html
from retrieval.reading.headings import escape, heading_line
from retrieval.reading.unreadable import Empty, Unreadable
from retrieval.records import Document

_FIELDS = ("From", "To", "Cc", "Date")
_MAX_ATTACHED = 50
_MAX_MAILS = 10_000
# With the time at which it came: a line of a text may begin so, too.
_BEGINNING = re.compile(rb"(?:\A|(?<=\n))From \S+ [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n(?=[\w-]+:)")
_QUOTED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)
_WORDS = re.compile(r"[^\W\d_]+")
_log = logging.getLogger(__name__)
UNNAMED = "a file without a name"

ReadAttached = Callable[[str, bytes], Document]
"""Reads what is attached, given its name and bytes; raises `Unreadable`."""


class Attached(NamedTuple):
    """A file that came with a mail."""

    name: str
    read: Callable[[], Document]
    """Raises `Unreadable`, or what its mail's damage raises."""


class Mail(NamedTuple):
    """A mail, whatever program wrote it."""

    subject: str
    fields: Sequence[tuple[str, str]]
    body: str
    attached: Iterable[Attached]


def read_mail(data: bytes, read_attached: ReadAttached) -> Document:
    """Read a mail as it was sent (RFC 5322).

    Args:
        data: The mail.
        read_attached: Reads what is attached.

    Raises:
        Empty: There are no words in it.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage), "the policy makes these"
    notes: list[str] = []
    fields = [(name, text) for name in _FIELDS if (text := _field(message, name))]
    mail = Mail(_field(message, "Subject"), fields, _body(message, notes), _attachments(message, read_attached))
    return write_mail(mail, notes)


def read_mailbox(data: bytes, read_attached: ReadAttached) -> Document:
    """Read a mailbox, mail after mail (RFC 4155); a mail that cannot be read is noted.

    Raises:
        Empty: There is no mail in it with words.
    """
    texts, notes = list[str](), list[str]()
    # As the standard library's `mailbox` parts them, which opens files only.
    parts = _BEGINNING.split(data)[1:]
    for number, mail in enumerate(parts[:_MAX_MAILS], 1):
        try:
            document = read_mail(_QUOTED_FROM.sub(b"", mail), read_attached)
        except Exception as error:  # a mistake of a reader costs its mail alone
            notes.append(f"mail {number} was not read: {_reason(error)}")
            continue
        texts.append(document.text)
        notes += [f"{document.title or f'mail {number}'}: {note}" for note in document.notes]
    if len(parts) > _MAX_MAILS:
        notes.append(f"the mails after the first {_MAX_MAILS:,} were not read")
    if not texts:
        raise Empty("the mailbox has no mail with words")
    return Document("\n\n".join(texts), "mail", notes=tuple(notes))


def read_saved_page(data: bytes) -> Document:
    """Read a page that a browser saved as one file (MHTML, RFC 2557).

    Raises:
        Broken, Empty, NotText: As `read_html`; there is no page in it.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() in ("text/html", "application/xhtml+xml"):
            charset = part.get_content_charset()
            page = part.get_payload(decode=True)
            assert isinstance(page, bytes), "a part of text is no container"
            try:
                # The mark wins over the encoding that the page itself may name.
                return read_html(page.decode(charset).encode("utf-8-sig") if charset else page)
            except (LookupError, UnicodeDecodeError):
                return read_html(page)
    raise Empty("no page was saved in it")


def write_mail(mail: Mail, notes: list[str]) -> Document:
    """Write a mail as text; what cannot be read of what is attached is noted.

    Raises:
        Empty: There are no words in it.
    """
    lines = [heading_line(1, mail.subject or "Mail"), ""]
    lines += [f"{name}: {text}" for name, text in mail.fields]
    lines += ["", mail.body]
    for number, attached in enumerate(mail.attached):
        if number == _MAX_ATTACHED:
            notes.append(f"what is attached after the first {_MAX_ATTACHED} files was not read")
            break
        lines += _attached(attached, notes)
    text = "\n".join(lines).strip()
    if not re.search(r"\w", text.removeprefix("# Mail")):
        raise Empty("the mail has no words")
    return Document(text, "mail", title=mail.subject, notes=tuple(notes))


def plain_lines(content: str) -> str:
    """Return a body of plain text so that none of its lines passes for a heading."""
    return "\n".join(escape(line) for line in content.replace("\r\n", "\n").split("\n")).strip()


def _field(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message[name] or "").split())
    # What a field that breaks the rules makes the standard library raise.
    except (ValueError, IndexError, AttributeError, TypeError):
        return ""


def _body(message: EmailMessage, notes: list[str]) -> str:
    """Return what a mail says: its plain part, or the HTML where the plain one says less than half of it.

    Programs that write HTML alone leave an empty plain part, or one that only says so.
    """
    said = {kind: _part(message, kind, notes) for kind in ("plain", "html")}
    plain, page = said["plain"], said["html"]
    return page if len(_WORDS.findall(page)) > 2 * len(_WORDS.findall(plain)) else plain


def _part(message: EmailMessage, kind: Literal["plain", "html"], notes: list[str]) -> str:
    try:
        body = message.get_body((kind,))
        if body is None:
            return ""
        content = body.get_content()
        if not content.strip():
            return ""
        return read_html(content.encode()).text if kind == "html" else plain_lines(content)
    except Empty:
        return ""
    except (Unreadable, LookupError, ValueError, AttributeError) as error:
        notes.append(f"its words could not be read ({getattr(error, 'reason', error)})")
        return ""


def _attachments(message: EmailMessage, read_attached: ReadAttached) -> Iterator[Attached]:
    for part in message.iter_attachments():
        if isinstance(part, EmailMessage):
            name = " ".join((part.get_filename() or UNNAMED).split())
            yield Attached(name, partial(_read_part, part, name, read_attached))


def _read_part(part: EmailMessage, name: str, read_attached: ReadAttached) -> Document:
    data = part.get_content() if part.get_content_type() != "message/rfc822" else part.get_content().as_bytes()
    return read_attached(name, data.encode() if isinstance(data, str) else bytes(data))


def _attached(attached: Attached, notes: list[str]) -> list[str]:
    try:
        document = attached.read()
    except Exception as error:  # likewise its attachment
        notes.append(f"the attached {attached.name!r} was not read: {_reason(error)}")
        return []
    notes += [f"{attached.name}: {note}" for note in document.notes]
    return ["", heading_line(1, f"Attached: {attached.name}"), "", document.text]


def _reason(error: Exception) -> str:
    if isinstance(error, Unreadable):
        return str(error.reason)
    _log.warning("a mail or what is attached to it could not be read", exc_info=error)
    return str(error) or type(error).__name__

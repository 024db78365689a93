"""Reads a message that Outlook saved (.msg): a compound file whose streams are named by MAPI properties ([MS-OXMSG]).

Texts lie in Unicode or in the code page that the message names; words that are in compressed rich text alone are not
read, which is noted.
"""

import datetime
import io
import struct
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from retrieval.reading.decode import decode
from retrieval.reading.formats.html import read_html
from retrieval.reading.formats.mail import UNNAMED, Attached, Mail, ReadAttached, plain_lines, write_mail
from retrieval.reading.unreadable import Broken, Unreadable
from retrieval.records import Document

if TYPE_CHECKING:
    from olefile import OleFileIO

# Numbers of properties ([MS-OXPROPS]).
_SUBJECT, _BODY, _HTML, _RICH_TEXT = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER, _SENDER_SMTP, _SENDER_ADDRESS = 0x0C1A, 0x5D01, 0x0C1F
_SHOWN_TO, _SHOWN_CC = 0x0E04, 0x0E03
_SENT, _DELIVERED = 0x0039, 0x0E06
_MESSAGE_PAGE, _INTERNET_PAGE = 0x3FFD, 0x3FDE
_NAME, _SMTP, _ADDRESS, _KIND = 0x3001, 0x39FE, 0x3003, 0x0C15
_LONG_FILE, _FILE, _DATA = 0x3707, 0x3704, 0x3701
_UNICODE, _EIGHT_BIT, _BINARY, _INNER = "001F", "001E", "0102", "000D"
_TO, _CC = 1, 2
_PAGES = {
    **dict.fromkeys((50220, 50221, 50222), "iso2022_jp"), 50225: "iso2022_kr", 20866: "koi8_r", 21866: "koi8_u",
    **{28590 + part: f"iso8859_{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    51932: "euc_jp", 51936: "gb2312", 51949: "euc_kr", 54936: "gb18030", 20127: "ascii", 65000: "utf_7",
}  # fmt: skip
"""Python's names of code pages that it does not know by their numbers."""
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_MAX_DEPTH = 5  # of messages in messages


def read_outlook(data: bytes, read_attached: ReadAttached) -> Document:
    """Read a message.

    Args:
        data: The file.
        read_attached: Reads what is attached.

    Raises:
        Broken: It is no whole compound file, or no message.
        Empty: There are no words in it.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            if not file.exists("__properties_version1.0"):
                raise Broken("Outlook message", "it holds no message")
            notes: list[str] = []
            return write_mail(_Message(file, (), read_attached, notes).mail(), notes)
    except Unreadable:
        raise
    except (OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise Broken("Outlook message", str(error)) from None


class _Storage:
    """A message, a recipient or an attachment: a folder of the file with its properties."""

    header = 8  # bytes before the fixed properties; a message has more

    def __init__(self, file: "OleFileIO", path: tuple[str, ...], page: int = 0) -> None:
        self.file, self.path, self.page = file, path, page

    def has(self, number: int, kind: str) -> bool:
        return bool(self.file.exists([*self.path, f"__substg1.0_{number:04X}{kind}"]))

    def stream(self, number: int, kind: str) -> bytes:
        """Return the bytes of a property of changing length, none where it is not there."""
        name = [*self.path, f"__substg1.0_{number:04X}{kind}"]
        return bytes(self.file.openstream(name).read()) if self.file.exists(name) else b""

    def text(self, number: int) -> str:
        if wide := self.stream(number, _UNICODE):
            return wide.decode("utf-16-le", "replace").replace("\0", "")
        return _decoded(self.stream(number, _EIGHT_BIT), self.page).replace("\0", "")

    def line(self, number: int) -> str:
        return " ".join(self.text(number).split())

    def fixed(self, number: int) -> bytes:
        """Return the 8 bytes of a property of fixed length, none where it is not there."""
        name = [*self.path, "__properties_version1.0"]
        data = self.file.openstream(name).read()[self.header :] if self.file.exists(name) else b""
        for at in range(0, len(data) - 15, 16):
            if struct.unpack_from("<H", data, at + 2)[0] == number:
                return bytes(data[at + 8 : at + 16])
        return b""

    def number(self, number: int) -> int:
        found = self.fixed(number)
        return int(struct.unpack("<i", found[:4])[0]) if found else 0

    def inner(self, beginning: str) -> Iterator[tuple[str, ...]]:
        """Yield the folders in this one whose names begin so."""
        depth = len(self.path)
        for entry in self.file.listdir(streams=False, storages=True):
            if len(entry) == depth + 1 and tuple(entry[:depth]) == self.path and entry[depth].startswith(beginning):
                yield tuple(entry)


class _Message(_Storage):
    def __init__(
        self,
        file: "OleFileIO",
        path: tuple[str, ...],
        read_attached: ReadAttached,
        notes: list[str],
    ) -> None:
        super().__init__(file, path)
        self.header = 24 if path else 32
        self.page = self.number(_MESSAGE_PAGE)
        self._read_attached, self._notes = read_attached, notes

    def mail(self) -> Mail:
        return Mail(self.line(_SUBJECT), list(self._fields()), self._body(), self._attached())

    def _fields(self) -> Iterator[tuple[str, str]]:
        address = self.line(_SENDER_SMTP) or self.line(_SENDER_ADDRESS)
        if sender := _person(self.line(_SENDER), address):
            yield "From", sender
        people: dict[int, list[str]] = {}
        for path in self.inner("__recip_version1.0_#"):
            one = _Storage(self.file, path, self.page)
            if person := _person(one.line(_NAME), one.line(_SMTP) or one.line(_ADDRESS)):
                people.setdefault(one.number(_KIND), []).append(person)
        for name, kind, shown in (("To", _TO, _SHOWN_TO), ("Cc", _CC, _SHOWN_CC)):
            if found := ", ".join(people.get(kind, ())) or self.line(shown):
                yield name, found
        if when := self.fixed(_SENT) or self.fixed(_DELIVERED):
            ticks = struct.unpack("<Q", when)[0]
            try:
                yield "Date", f"{_EPOCH + datetime.timedelta(microseconds=ticks // 10):%Y-%m-%d %H:%M UTC}"
            except OverflowError:
                self._notes.append("its date cannot be read")

    def _body(self) -> str:
        if (plain := plain_lines(self.text(_BODY))).strip():
            return plain
        html = self.text(_HTML) or _decoded(self.stream(_HTML, _BINARY), self.number(_INTERNET_PAGE))
        if html.strip():
            return read_html(html.encode()).text
        if self.has(_RICH_TEXT, _BINARY):
            self._notes.append("its words are in compressed rich text, which is not read; save the message as .eml")
        return ""

    def _attached(self) -> Iterator[Attached]:
        for path in sorted(self.inner("__attach_version1.0_#")):
            part = _Storage(self.file, path, self.page)
            name = part.line(_LONG_FILE) or part.line(_FILE) or part.line(_NAME) or UNNAMED
            if part.has(_DATA, _INNER):
                yield Attached(name, partial(self._inner_message, (*path, f"__substg1.0_{_DATA:04X}{_INNER}")))
            else:
                yield Attached(name, partial(self._file, part, name))

    def _file(self, part: _Storage, name: str) -> Document:
        return self._read_attached(name, part.stream(_DATA, _BINARY))

    def _inner_message(self, path: tuple[str, ...]) -> Document:
        if len(path) > 2 * _MAX_DEPTH:
            raise ValueError("too many messages in messages")
        if not self.file.exists([*path, "__properties_version1.0"]):
            raise ValueError("an embedded object; save it as a file of its own")
        notes: list[str] = []
        return write_mail(_Message(self.file, path, self._read_attached, notes).mail(), notes)


def _person(name: str, address: str) -> str:
    # What begins with a slash is the name of an entry in Exchange's own book.
    return name if not address or address.startswith("/") or address == name else f"{name} <{address}>".strip()


def _decoded(data: bytes, page: int) -> str:
    """Decode a text of 8 bits: as UTF-8 where it is, else by the page that the message names, else by its looks."""
    named = _PAGES.get(page, f"cp{page}")
    # Words of ISO-2022 are ASCII to the eye of UTF-8.
    for codec in (named, "utf-8") if named.startswith("iso2022") else ("utf-8", named):
        try:
            return data.decode(codec)
        except (UnicodeDecodeError, LookupError):
            continue
    try:
        return decode(data).text
    except Unreadable:
        return data.decode("latin-1")

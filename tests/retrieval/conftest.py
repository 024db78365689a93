"""A reader, a splitter and an embedder that can be computed by hand, and a small web of our own."""

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trustme

from retrieval.catalogue.rows import Matrix
from retrieval.reading.recipe import Recipe
from retrieval.reading.unreadable import Broken
from retrieval.records import Chunk, Document
from retrieval.web import public_hosts as hosts
from retrieval.web.fetch import INTERNET, Internet


def _read(path: Path, data: bytes) -> Document:
    if b"BROKEN" in data:
        raise Broken("text", "it says so")
    return Document(data.decode(), "markdown" if path.suffix == ".md" else "text", codec="utf-8", title=path.stem)


def _split(document: Document) -> list[Chunk]:
    """Paragraphs; white space does not count for the id."""
    return [
        Chunk(hashlib.sha256(" ".join(m.group().split()).encode()).hexdigest()[:32], m.group(), m.start(), m.end())
        for m in re.finditer(r"\S(?:.|\n(?!\n))*", document.text)
    ]


class LetterEmbedder:
    """How many a, b and c, and one, of length 1."""

    dimension = 4

    def __init__(self, fingerprint: str = "letters") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def knows(self, text: str, language: str | None = None) -> bool:
        return True

    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        self.asked.extend(texts)
        rows = np.array([[t.count("a"), t.count("b"), t.count("c"), 1] for t in texts], np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def embed_query(self, text: str) -> Matrix:
        return np.asarray(self.embed_documents([text])[0])


@pytest.fixture
def paragraphs() -> Recipe:
    return Recipe(_read, _split, "paragraphs", max_bytes=10_000)


@pytest.fixture
def letters() -> LetterEmbedder:
    return LetterEmbedder()


class Web:
    """A TLS server on this machine, and an internet in which its names exist.

    It answers each path with the bytes that stand in `pages`, and remembers who came.
    """

    def __init__(self) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("a.test", "b.test").configure_cert(context)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._context, self._authority = context, authority
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.pages: dict[str, bytes | Iterable[bytes]] = {}
        self.connections = 0
        self.names: list[str] = []
        self.requests: list[list[str]] = []
        self.asked: list[str] = []
        self.over = threading.Event()
        self._threads[0].start()

    def address(self, path: str, host: str = "a.test") -> str:
        return f"https://{host}:{self.port}{path}"

    def put(self, path: str, body: bytes, kind: str = "text/plain", *headers: str, status: str = "200 OK") -> str:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.pages[path] = "\r\n".join(lines).encode() + body
        return self.address(path)

    def lead(self, path: str, to: str) -> str:
        return self.put(path, b"", "text/plain", f"Location: {to}", status="302 SearchOutcome")

    def internet(
        self, places: dict[str, list[str]] | None = None, refusal: Callable[[str], str | None] | None = None
    ) -> Internet:
        """Make an internet in which a.test and b.test are this server, and this server alone is allowed."""

        def resolve(host: str, port: int) -> list[str]:
            self.asked.append(host)
            return (places or {}).get(host, ["127.0.0.1"])

        def tls() -> ssl.SSLContext:
            context = ssl.create_default_context()
            self._authority.configure_trust(context)
            return context

        only_us = lambda ip: None if ip == "127.0.0.1" else hosts.refusal(ip)  # noqa: E731
        return replace(INTERNET, resolve=resolve, tls=tls, refusal=refusal or only_us)

    def close(self) -> None:
        self.over.set()
        # A thread in accept() is woken by a guest, not by close().
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            guest, _ = self._listener.accept()
            if self.over.is_set():
                guest.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(guest,)))
            self._threads[-1].start()

    def _serve(self, guest: socket.socket) -> None:
        try:
            with self._context.wrap_socket(guest, server_side=True) as stream:
                request = b""
                while b"\r\n\r\n" not in request and (block := stream.recv(65_536)):
                    request += block
                lines = request.decode("latin-1").split("\r\n")
                if not request:
                    return
                self.requests.append(lines)
                page = self.pages[lines[0].split()[1]]
                for block in [page] if isinstance(page, bytes) else page:
                    stream.sendall(block)
        except OSError:
            guest.close()  # the guest did not like us, or had heard enough


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()

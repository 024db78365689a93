"""A reader, a splitter and an embedder that can be computed by hand."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.recipe import Recipe
from retrieval.records import Chunk, Document
from retrieval.rows import Matrix
from retrieval.unreadable import Broken


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

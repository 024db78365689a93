"""How fast documents come in: text PDFs, scans and plain text, read, split and embedded, beside a plain pypdf loop.

`python -m benchmarks.ingestion --data FOLDER [--pages 200] [--scans 2] [--embedded 100]` takes the real PDFs below the
folder, a PDF of so many pages made of its collections' passages, and the same passages as text files. Pages are those
that have words. Embedding is timed on so many chunks and reckoned for the rest, since it takes nearly all of the time.
"""

import argparse
import io
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.report import publish
from benchmarks.retrieval_quality import read
from retrieval.embedders.embedder import Embedder
from retrieval.embedders.open import open_embedder
from retrieval.reading.chunks import split
from retrieval.reading.documents import read_document
from retrieval.records import Chunk, Document
from retrieval.sync.missing_vectors import text_to_embed

LINES = 48
COLUMNS = 85
REPEATS = 3
MIB = 2**20

T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """Files of one kind."""

    name: str
    files: tuple[tuple[str, bytes], ...]
    """Name and bytes."""
    by_pages: bool


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ir/, and PDFs anywhere below")
    parser.add_argument("--pages", type=int, default=200, help="of the made PDF")
    parser.add_argument("--scans", type=int, default=2, help="how often the scans are read")
    parser.add_argument("--embedded", type=int, default=100, help="chunks of each kind that are embedded")
    arguments = parser.parse_args()
    embedder = open_embedder("minilm")
    embedder.embed_query("The first one is slow.")
    rows = [
        measure(kind, embedder, arguments.embedded, arguments.scans if "scan" in kind.name else REPEATS)
        for kind in kinds(arguments.data, arguments.pages)
    ]
    publish("ingestion", "Pages or MiB a second, one process", rows, embedder=embedder.fingerprint)


def kinds(data: Path, pages: int) -> Iterator[Kind]:
    """Gather the files."""
    english = read(data / "ir" / "cranfield", data / "ir" / "cranfield").passages
    chinese = read(data / "ir" / "cmrc2018", data / "ir" / "cmrc2018").passages
    found = [(file.name, file.read_bytes()) for file in sorted(data.rglob("*.pdf"))]
    scans = tuple(file for file in found if not words_by_pypdf(file[1]))
    texts = tuple(file for file in found if file not in scans)
    yield Kind(f"{len(texts)} real text PDFs", texts, by_pages=True)
    yield Kind(f"made PDF of {pages} pages", (("made.pdf", made_pdf(english, pages)),), by_pages=True)
    yield Kind(f"{len(scans)} scanned PDF (OCR)", scans, by_pages=True)
    yield Kind("English text, UTF-8", (("english.txt", "\n\n".join(english).encode()),), by_pages=False)
    yield Kind("Chinese text, GB18030", (("chinese.txt", "\n\n".join(chinese).encode("gb18030")),), by_pages=False)


def measure(kind: Kind, embedder: Embedder, embedded: int, repeats: int) -> dict[str, object]:
    """Return a table row."""
    documents: list[Document] = []
    chunks: list[Chunk] = []
    reading = fastest(repeats, lambda: refill(documents, (read_document(Path(n), data) for n, data in kind.files)))
    splitting = fastest(repeats, lambda: refill(chunks, (chunk for d in documents for chunk in split(d))))
    sample = [text_to_embed(chunk.headings, chunk.text) for chunk in chunks[:embedded]]
    embedding = fastest(1, lambda: embedder.embed_documents(sample)) * len(chunks) / max(1, len(sample))
    size = sum(len(d.pages) for d in documents) if kind.by_pages else sum(len(data) for _, data in kind.files) / MIB
    by_pypdf = None
    if kind.by_pages and "scan" not in kind.name:
        by_pypdf = fastest(repeats, lambda: [words_by_pypdf(data) for _, data in kind.files])
    return {
        "what": kind.name,
        "size": f"{size} pages" if kind.by_pages else f"{size:.1f} MiB",
        "chunks": len(chunks),
        "read, per s": rate(size, reading),
        "and split": rate(size, reading + splitting),
        "and embedded": rate(size, reading + splitting + embedding),
        "peer: pypdf reads": by_pypdf and rate(size, by_pypdf),
    }


def rate(size: float, seconds: float) -> float:
    """Return how much a second, to three digits."""
    return float(f"{size / seconds:.3g}")


def refill(kept: list[T], found: Iterable[T]) -> None:
    """Replace what is in the list."""
    kept[:] = found


def fastest(repeats: int, work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def words_by_pypdf(data: bytes) -> str:
    """Read a PDF as pypdf's documentation does; of a scan nothing comes out."""
    from pypdf import PdfReader

    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages).strip()


def made_pdf(passages: Sequence[str], pages: int) -> bytes:
    """Set the passages in Helvetica, LINES lines a page, over again until there are enough."""
    lines = [line for passage in passages for line in [*textwrap.wrap(passage, COLUMNS), ""]]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in range(pages):
        start = page * LINES % (len(lines) - LINES)
        shown = " ".join(f"({escaped(line)}) Tj T*" for line in lines[start : start + LINES])
        stream = f"BT /F1 10 Tf 14 TL 50 780 Td {shown} ET".encode("latin-1", "replace")
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (len(objects) + 2)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    objects[1] = f"<< /Type /Pages /Count {pages} /Kids [{' '.join(kids)}] >>".encode()
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>"
    return bytes(out + f"{end}\nstartxref\n{len(out)}\n%%EOF\n".encode())


def escaped(line: str) -> str:
    """Return the line as a PDF string may hold it."""
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


if __name__ == "__main__":
    main()
